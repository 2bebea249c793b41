"""Server-sent events, parsed from a body that has arrived (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import NamedTuple


class Event(NamedTuple):
    """One event.

    Attributes:
        name: Its ``event`` field.
        data: Its ``data`` lines, joined by line feeds.
        end: The offset just behind it in the body, in bytes.
    """

    name: str | None
    data: str
    end: int


def is_stream(content_type: str, body: bytes) -> bool:
    """Say whether a body is a stream of events, by its media type and its beginning."""
    if content_type == "text/event-stream":
        return True
    # Some compatible servers stream under another name.
    return content_type != "application/json" and body.lstrip()[:6].startswith((b"data:", b"event:"))


def events(body: bytes) -> Iterator[Event]:
    """Yield the events that have data.

    Bytes are split before they are decoded, so that no character is cut apart. An event that the
    end of the body cut short is yielded too: what came of it may still be readable.

    Args:
        body: The decompressed body, from its start.
    """
    name: str | None = None
    data: list[bytes] = []
    end = 0
    for raw in body.splitlines(keepends=True):
        end += len(raw)
        line = raw.rstrip(b"\r\n")
        if end == len(raw):
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.startswith(b"data:"):
            data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line.startswith(b"event:"):
            name = line[6:].removeprefix(b" ").decode("utf-8", "replace")
        elif line == b"data":
            data.append(b"")
        elif not line:
            if data:
                yield Event(name, _text(data), end)
            name, data = None, []
    if data:
        yield Event(name, _text(data), end)


def _text(lines: list[bytes]) -> str:
    return b"\n".join(lines).decode("utf-8", "replace")
