"""What a parser of a provider's API is, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Json = Mapping[str, Any]
"""A JSON object as it came over the wire; nothing in it may be relied on."""

Part = dict[str, Any]
"""The fields of a ``models.Part``: plain data, validated once, when the span is made."""

Message = dict[str, Any]
"""The fields of a ``models.Message``."""


@dataclass(slots=True)
class Request:
    """What was asked.

    Attributes:
        model: The model asked for.
        messages: The system prompt first, if there is one.
        parameters: Everything else in the body, bytes replaced by their hash.
    """

    model: str | None = None
    messages: list[Message] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Reply:
    """What was answered.

    Attributes:
        model: The model that answered.
        messages: Usually one; one per choice where several were asked for.
        usage: The fields of a ``models.Usage``.
        error: An error that came in a successful response, as ``type: message``.
        metadata: What else the span should say: the response's id, reasoning tokens.
    """

    model: str | None = None
    messages: list[Message] = field(default_factory=list)
    usage: dict[str, int | None] = field(default_factory=dict)
    error: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


class Stream(Protocol):
    """Puts the events of one streamed answer together again.

    Attributes:
        complete: The protocol's end event was seen.
        error: The error event that was seen, as ``type: message``.
    """

    complete: bool
    error: str | None

    def add(self, name: str | None, data: str) -> bool:
        """Take the next event; return whether it carried a token of the answer."""
        ...

    def body(self) -> dict[str, Any]:
        """Return the body that the same answer would have had without streaming, as far as it came."""
        ...


class Parser(Protocol):
    """Reads one API; a file of its own per implementation, listed in ``parsers.PARSERS``.

    What a provider sends may be anything: a parser keeps what it does not know and skips what it
    cannot read.

    Attributes:
        provider: ``gen_ai.provider.name`` where the configuration does not say.
    """

    provider: str

    def request(self, body: Json) -> Request:
        """Read the body of a request."""
        ...

    def response(self, body: Json) -> Reply:
        """Read the body of a successful response."""
        ...

    def stream(self) -> Stream:
        """Start to assemble a streamed response."""
        ...
