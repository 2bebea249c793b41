"""What was asked of the scripted server and what it answers, in no API's own words; and what an API is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ..errors import UsageError
from ..models import Usage

_CREDENTIAL_WORDS = ("auth", "cookie", "key", "secret", "token")
_TEXT_TYPES = frozenset({"text", "input_text", "output_text"})

_WORD = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True)
class Request:
    """One request, in the same words whichever API it came through.

    Attributes:
        api: ``anthropic.messages``, ``anthropic.count_tokens``, ``openai.chat`` or
            ``openai.responses``.
        model: The model asked for.
        system: The text of the system prompt (of all system and developer messages), else empty.
        messages: The conversation as it was sent; a Responses input that is a string becomes one
            user message.
        last_user_text: The text of the last message that is not the model's own: the user's, or
            the result of a tool.
        stream: Whether the answer is to be streamed.
        schema: The JSON schema that the answer must have, when structured output was asked for.
        body: The whole body.
        headers: By lower-case name, without those that may carry credentials.
    """

    api: str
    model: str
    system: str
    messages: list[dict[str, Any]]
    last_user_text: str
    stream: bool = False
    schema: dict[str, Any] | None = None
    body: dict[str, Any] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class MalformedRequest(Exception):  # noqa: N818 - it names what arrived, not a fault of ours
    """A body that the API would refuse with status 400."""


def without_credentials(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers whose names don't hint at a credential."""
    return {
        name: value for name, value in headers.items() if not any(word in name for word in _CREDENTIAL_WORDS)
    }


def text_of(content: object) -> str:
    """Return the text in a message's content: a string, or a list of parts of any of the APIs."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            kind = part.get("type")
            if kind in _TEXT_TYPES:
                texts.append(str(part.get("text", "")))
            elif kind == "tool_result":
                texts.append(text_of(part.get("content")))
    return "\n".join(texts)


def required_text(body: Mapping[str, Any], key: str) -> str:
    """Return a string that the body must have.

    Raises:
        MalformedRequest: It is missing or not a string.
    """
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise MalformedRequest(f"{key}: expected a string (found {value!r})")
    return value


def required_messages(body: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the list of messages that the body must have.

    Raises:
        MalformedRequest: It is missing, empty, or holds something that is not an object.
    """
    value = body.get(key)
    if not isinstance(value, list) or not value:
        raise MalformedRequest(f"{key}: expected a list with at least one message")
    for index, message in enumerate(value):
        if not isinstance(message, dict):
            raise MalformedRequest(f"{key}.{index}: expected an object (found {type(message).__name__})")
    return value


def schema_in(container: object) -> dict[str, Any] | None:
    """Return the JSON schema under ``schema``, where that is what the container holds."""
    schema = container.get("schema") if isinstance(container, dict) else None
    return schema if isinstance(schema, dict) else None


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


class Tokens(NamedTuple):
    """Tokens of a call; ``input`` is the whole input, cached or not."""

    input: int
    output: int
    cache_read: int
    cache_write: int


def tokens_of(request: Request, reply: Reply) -> Tokens:
    """Return the figures that the reply gives, and count the others from the lengths of the texts."""
    usage = reply.usage or Usage()
    given_input, given_output = usage.input_tokens, usage.output_tokens
    return Tokens(
        input=_input_tokens(request) if given_input is None else given_input,
        output=_output_tokens(reply) if given_output is None else given_output,
        cache_read=usage.cache_read_tokens or 0,
        cache_write=usage.cache_write_tokens or 0,
    )


def _input_tokens(request: Request) -> int:
    return _count(request.system, *(text_of(message.get("content")) for message in request.messages))


def _output_tokens(reply: Reply) -> int:
    calls = (call.name + json.dumps(dict(call.arguments)) for call in reply.tool_calls)
    return _count(reply.thinking or "", reply.text or "", *calls)


def _count(*texts: str) -> int:
    """Count a token for every four characters, and at least one."""
    return max(1, (sum(map(len, texts)) + 3) // 4)


class Event(NamedTuple):
    """One server-sent event.

    Attributes:
        name: Its ``event:`` line; None for an API that names none.
        data: Its ``data:`` line, JSON except for end marks.
    """

    name: str | None
    data: dict[str, Any] | str


class Api(Protocol):
    """One API: how its requests are read and its answers written.

    Attributes:
        name: What a request's ``api`` is set to.
        path: The end of the URL's path, whole segments.
        request_id_header: The header in which the API names a request.
        scripted: Whether answers come from the script; else ``answer`` is given an empty reply.
    """

    name: str
    path: str
    request_id_header: str
    scripted: bool

    def read(self, body: dict[str, Any], headers: Mapping[str, str]) -> Request:
        """Read a request.

        Raises:
            MalformedRequest: The API would refuse the body.
        """
        ...

    def answer(self, request: Request, reply: Reply, number: int) -> dict[str, Any]:
        """Write a reply as one document; ``number`` makes ids that differ from reply to reply."""
        ...

    def events(self, request: Request, reply: Reply, number: int) -> Iterator[Event]:
        """Write a reply as a stream."""
        ...

    def error(self, status: int, message: str, number: int) -> dict[str, Any]:
        """Write an error in the API's shape."""
        ...
