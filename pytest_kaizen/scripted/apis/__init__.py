"""The APIs that the scripted server speaks, and the path of each."""

from __future__ import annotations

from .anthropic_messages import AnthropicCountTokens, AnthropicMessages
from .base import Api, Event
from .openai_chat import OpenAIChat
from .openai_responses import OpenAIResponses

APIS: tuple[Api, ...] = (AnthropicMessages(), AnthropicCountTokens(), OpenAIChat(), OpenAIResponses())

__all__ = ["APIS", "Api", "Event", "api_at"]


def api_at(path: str) -> Api | None:
    """Return the API that is spoken at a path, whatever stands before its own part of it."""
    return next((api for api in APIS if path.endswith(api.path)), None)
