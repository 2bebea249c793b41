"""The provider APIs that capture can read: one parser per file, all of them listed here."""

from __future__ import annotations

from collections.abc import Mapping

from .anthropic_messages import AnthropicMessages
from .base import Parser, Reply, Request, Stream
from .openai_chat import OpenAIChat
from .openai_responses import OpenAIResponses

PARSERS: Mapping[str, Parser] = {
    "anthropic.messages": AnthropicMessages(),
    "openai.chat": OpenAIChat(),
    "openai.responses": OpenAIResponses(),
}

__all__ = ["PARSERS", "Parser", "Reply", "Request", "Stream"]
