"""JSON that is read and compared by people: short things on one line, long texts line by line."""

from __future__ import annotations

import json
import re
from typing import Any

from ..parsers.parts import loads

_WIDTH = 100
_STEP = "  "
_LINES = "|"
_MARKED = f'"{_LINES}"'
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


class OneLine(list[Any]):
    """A list whose items each stand on a line of their own, however long."""


def render(value: Any) -> str:
    """Lay out a value as JSON; equal values give equal text, with keys in their order.

    A text of several lines becomes ``{"|": [line, …]}``, so that a change of one line is a change
    of one line. ``parse`` undoes that.
    """
    return _escaped(_laid_out(_in_lines(value), ""))


def compact(value: Any) -> str:
    """Lay out a value as JSON on one line."""
    return _escaped(_dumps(value))


def parse(text: str) -> Any:
    """Parse what ``render`` laid out.

    Raises:
        json.JSONDecodeError: It is no JSON.
        TypeError: What should be lines of a text is none.
    """
    if _MARKED not in text:
        # Most hold no text of several lines, and to look at every object takes thrice as long.
        return loads(text)
    return json.loads(text, object_hook=_joined)


def _joined(found: dict[str, Any]) -> Any:
    return "\n".join(found[_LINES]) if len(found) == 1 and _LINES in found else found


def is_restorable(value: Any) -> bool:
    """Say whether a value survives ``render`` and ``parse``: none of its objects looks like lines."""
    if isinstance(value, dict):
        return not (len(value) == 1 and _LINES in value) and all(map(is_restorable, value.values()))
    return not isinstance(value, list) or all(map(is_restorable, value))


def _in_lines(value: Any) -> Any:
    if isinstance(value, str):
        return {_LINES: value.split("\n")} if "\n" in value.strip("\n") else value
    if isinstance(value, OneLine):
        return value
    if isinstance(value, dict):
        return {key: _in_lines(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_lines(item) for item in value]
    return value


def _laid_out(value: Any, indent: str) -> str:
    inner = indent + _STEP
    if isinstance(value, OneLine) and value:
        return "[\n" + ",\n".join(inner + _dumps(item) for item in value) + f"\n{indent}]"
    if isinstance(value, dict) and len(value) == 1 and _LINES in value:
        lines = (inner + _dumps(line) for line in value[_LINES])
        return f'{{"{_LINES}": [\n' + ",\n".join(lines) + f"\n{indent}]}}"
    line = _dumps(value)
    if len(indent) + len(line) <= _WIDTH and not _holds_lines(value):
        return line
    if isinstance(value, dict) and value:
        items = (f"{_dumps(key)}: {_laid_out(item, inner)}" for key, item in value.items())
        return "{\n" + ",\n".join(inner + item for item in items) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + _laid_out(item, inner) for item in value) + f"\n{indent}]"
    return line


def _holds_lines(value: Any) -> bool:
    if isinstance(value, dict):
        return _LINES in value or any(map(_holds_lines, value.values()))
    if isinstance(value, OneLine):
        return len(value) > 1
    return isinstance(value, list) and any(map(_holds_lines, value))


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _escaped(text: str) -> str:
    # Half of a surrogate pair is valid in JSON's notation and not in UTF-8.
    return _HALF_CHARACTER.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
