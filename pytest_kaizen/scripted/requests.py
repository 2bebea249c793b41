"""What was asked of the scripted server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_CREDENTIAL_WORDS = ("auth", "cookie", "key", "secret", "token")
_TEXT_TYPES = frozenset({"text", "input_text", "output_text"})


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
