"""Errors as one line."""

from __future__ import annotations

_MAX_CHARS = 500


def one_line(text: str) -> str:
    """Fold white space and cut what is too long for a line of a report."""
    # Cut first: an error page may be megabytes.
    line = " ".join(text[: 4 * _MAX_CHARS].split())
    return line if len(line) <= _MAX_CHARS else line[: _MAX_CHARS - 1] + "…"


def describe(exc: BaseException) -> str:
    """Describe an exception as ``Type: message``; one whose ``str`` fails by its type alone."""
    kind = type(exc).__name__
    try:
        message = one_line(str(exc))
    except Exception:
        message = ""
    return f"{kind}: {message}" if message else kind
