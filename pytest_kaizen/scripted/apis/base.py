"""What the scripted server needs to know of an API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from ..replies import Reply
from ..requests import Request


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
