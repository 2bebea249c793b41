"""The key of a platform: sent with every request, shown nowhere."""

from __future__ import annotations

from collections.abc import Generator

import httpx


class ApiKey(httpx.Auth):
    """A key and the header it travels in.

    It is kept here and not among the client's headers, whose text shows their values.

    Args:
        key: The key.
        header: The header's name.
        scheme: What stands before the key in it, ``Bearer`` for instance.
    """

    def __init__(self, key: str, header: str, scheme: str = "") -> None:
        self._key = key
        self._header = header
        self._value = f"{scheme} {key}" if scheme else key

    def __repr__(self) -> str:
        return f"ApiKey({self._header})"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers[self._header] = self._value
        yield request

    def hide_in(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self._key, "[key]")


def is_visible_ascii(text: str) -> bool:
    """Say whether a text can stand in a header: visible ASCII, no blanks."""
    return text.isascii() and text.isprintable() and " " not in text and text != ""
