"""A scripted local model server, for tests that need a model and have no key.

It speaks Anthropic's Messages API and OpenAI's Chat Completions and Responses APIs, plain and
streamed, on a free loopback port. What it answers is scripted: see ``ScriptedLLM``.
"""

from __future__ import annotations

from ..models import Usage
from .llm import ScriptedLLM
from .replies import Reply, ToolCall
from .requests import Request

__all__ = ["Reply", "Request", "ScriptedLLM", "ToolCall", "Usage"]
