"""What the scripted server answers: replies, tool calls and failures, in no API's own words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError
from ..models import Usage
from .requests import Request

_WORD = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool that the model asks for.

    Attributes:
        name: The tool.
        arguments: What it is called with.
        id: The call's id; the server makes one up when it is not given.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None

    def __post_init__(self) -> None:
        try:
            json.dumps(dict(self.arguments))
        except (TypeError, ValueError) as exc:
            raise UsageError(f"the arguments of tool call '{self.name}' are not JSON: {exc}") from None


@dataclass(frozen=True)
class Reply:
    """One answer of the model.

    Attributes:
        text: Its text; None for an answer without any, such as one of tool calls alone.
        tool_calls: The tools it calls, after the text.
        thinking: Its reasoning, before the text. Chat Completions has no place for it and leaves
            it out.
        usage: The tokens reported; counted from the lengths of the texts when not given.
        stop_reason: Why it ended, in Anthropic's or OpenAI's word, which is translated
            (``max_tokens``, ``length``); ``end_turn`` or ``tool_use`` by default.
        latency_s: Seconds until the answer begins.
        chunks: How a stream cuts the text, which must be these pieces joined; into words by default.
        cut_after: Drop the connection after this many events of a stream; None: never.
    """

    text: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    thinking: str | None = None
    usage: Usage | None = None
    stop_reason: str | None = None
    latency_s: float = 0.0
    chunks: Sequence[str] | None = None
    cut_after: int | None = None

    def __post_init__(self) -> None:
        if self.chunks is not None and "".join(self.chunks) != self.text:
            raise UsageError("the chunks of a reply, joined, must be its text")

    @property
    def pieces(self) -> Sequence[str]:
        """The text, cut as a stream sends it."""
        return self.chunks if self.chunks is not None else cut_in_words(self.text or "")


@dataclass(frozen=True)
class Failure:
    """An answer that is an error.

    Attributes:
        status: The HTTP status.
        message: The error's message.
        retry_after: Seconds after which the client may try again.
        latency_s: Seconds until the answer.
        disconnect: Close the connection in place of an answer.
    """

    status: int
    message: str
    retry_after: float
    latency_s: float = 0.0
    disconnect: bool = False


#: Makes an answer from what was asked, which is how a simulator is written.
Simulator = Callable[[Request], str | Reply]


def cut_in_words(text: str) -> list[str]:
    """Cut a text into words, each with the white space before it."""
    return _WORD.findall(text)


def cut_evenly(text: str, size: int = 16) -> list[str]:
    """Cut a text into pieces of ``size`` characters."""
    return [text[start : start + size] for start in range(0, len(text), size)]
