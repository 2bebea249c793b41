"""Which headers go on to a provider, and which come back from it."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers

from ..problem import Refusal

RawHeaders = list[tuple[bytes, bytes]]

#: They are about one connection, not about the request (RFC 9110, section 7.6.1).
_OF_ONE_CONNECTION = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
#: What the client of the next connection says anew.
_SAID_ANEW = frozenset({b"host", b"content-length", b"expect"})
_OURS = b"x-kaizen-"


def outgoing(headers: Headers) -> RawHeaders:
    """Return the headers of a request that go on to the provider: all but ours.

    Args:
        headers: As they came.

    Raises:
        Refusal: Our key stands where the provider's should, and would be given away.
    """
    key = headers.get("x-kaizen-key", "").strip().encode("latin-1")
    kept = []
    for name, value in _without(headers.raw, _SAID_ANEW):
        if name.startswith(_OURS):
            continue
        if key and key in value:
            raise Refusal(
                400,
                f"the header {name.decode('latin-1')} goes on to the provider and holds this server's key; "
                "put the provider's key there",
            )
        kept.append((name, value))
    return kept


def incoming(raw: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """Return the headers of the provider's answer that go back; the date is this server's own."""
    return _without(raw, frozenset({b"date"}))


def _without(raw: Iterable[tuple[bytes, bytes]], more: frozenset[bytes]) -> RawHeaders:
    lowered = [(name.lower(), value) for name, value in raw]
    named = {
        part.strip().lower() for name, value in lowered if name == b"connection" for part in value.split(b",")
    }
    left_out = _OF_ONE_CONNECTION | more | named
    return [(name, value) for name, value in lowered if name not in left_out]
