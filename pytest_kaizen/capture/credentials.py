"""The credentials that a request carries."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Any

from .secret_rules import SECRET_FIELDS

_HEADERS = frozenset({b"authorization", b"proxy-authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
#: Google's name for it, too short to be looked for in other places.
_QUERY_FIELDS = SECRET_FIELDS | {"key"}


def credentials_of(request: Any) -> Iterator[str]:
    """Yield what a request of httpx or httpx2 identifies its sender with: in headers and URL."""
    yield from credentials_in(request.headers.raw)
    url = request.url
    if url.password:
        yield url.password
    if url.query:
        for name, value in url.params.multi_items():
            if name.lower().replace("-", "_") in _QUERY_FIELDS:
                yield value


def credentials_in(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[str]:
    """Yield what headers identify a sender with."""
    for name, value in headers:
        if name.lower() in _HEADERS:
            # The scheme in front (Bearer, Basic) is no secret.
            scheme, _, credential = value.decode("latin-1").rpartition(" ")
            yield credential
            if scheme.lower() == "basic":
                yield _password(credential)


def _password(credential: str) -> str:
    try:
        return b64decode(credential).decode("utf-8", "replace").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
