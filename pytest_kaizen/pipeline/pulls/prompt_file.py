"""A prompt in a file of somebody's repository: what the file is with another text in its place.

All that is not the prompt stays as it is, byte for byte in Python and YAML; a JSON file is laid out
anew with its own indentation. What was written is read again and compared before it is given back.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

import yaml

from ...errors import ProposalError

#: Bytes of a file that is taken apart.
_LONGEST = 1024 * 1024
#: Where the prompt is in a file whose task names no place.
_KEY = "prompt"
_FORMATS = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}

#: Characters that stand in no YAML text as they are, or end its lines.
_NO_YAML = re.compile("[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

Edit = Callable[[str, Sequence[str], str], str]

_NO_TEXT = "what is there is no plain text"


def format_of(path: str, given: str | None) -> str:
    """Return the format of a prompt's file: the one that the task gives, else by the file's ending."""
    return given or _FORMATS.get(PurePosixPath(path).suffix.lower(), "text")


def with_prompt(content: bytes | None, path: str, text: str, *, form: str, locator: str | None) -> bytes:
    """Put a prompt into a file.

    Args:
        content: The file; None for one that is not there.
        path: Its path, for messages.
        text: The prompt.
        form: ``text`` (the whole file), ``json``, ``yaml`` or ``python``.
        locator: Where in the file: keys or names with dots between them. Without one it is the key
            ``prompt`` (the variable ``PROMPT`` in Python).

    Raises:
        ProposalError: The file has no such place, or what is there is no text.
    """
    if form == "text":
        return f"{text}\n".encode()
    edit = _EDITS.get(form)
    if edit is None:
        raise ProposalError(f"{path}: no prompt_format {form!r}; there are: text, {', '.join(_EDITS)}")
    place = (locator or (_KEY.upper() if form == "python" else _KEY)).split(".")
    if content is None:
        if locator is not None:
            raise ProposalError(f"{path}: there is no such file, so nothing at {locator!r} in it")
        return _new(form, text).encode()
    if len(content) > _LONGEST:
        raise ProposalError(f"{path}: is longer than {_LONGEST} bytes")
    try:
        return edit(content.decode(), place, text).encode()
    except (_NoPlaceError, UnicodeDecodeError) as exc:
        raise ProposalError(f"{path}: {exc}") from None
    except (ValueError, SyntaxError, yaml.YAMLError, RecursionError, MemoryError) as exc:
        said = " ".join(str(exc).split())
        raise ProposalError(f"{path}: cannot be read as {form}: {said or type(exc).__name__}") from None


class _NoPlaceError(Exception):
    def __init__(self, place: Sequence[str], why: str = "there is no such place") -> None:
        super().__init__(f"at {'.'.join(place)!r}: {why}")


def _new(form: str, text: str) -> str:
    if form == "python":
        return f"{_KEY.upper()} = {_python_text(text)}\n"
    if form == "yaml":
        return _in_yaml(f"{_KEY}: text\n", [_KEY], text)
    return json.dumps({_KEY: text}, ensure_ascii=False, indent=2) + "\n"


def _in_json(source: str, place: Sequence[str], text: str) -> str:
    document = json.loads(source)
    holder: Any = document
    for name in place[:-1]:
        holder = _step(holder, name, place)
    if not isinstance(_step(holder, place[-1], place), str):
        raise _NoPlaceError(place, _NO_TEXT)
    holder[int(place[-1]) if isinstance(holder, list) else place[-1]] = text
    indent = re.search(r"\n([ \t]+)", source)
    written = json.dumps(document, ensure_ascii=False, indent=indent[1] if indent else None)
    return written + ("\n" if source.endswith("\n") else "")


def _step(holder: Any, name: str, place: Sequence[str]) -> Any:
    try:
        return holder[int(name)] if isinstance(holder, list) else holder[name]
    except (KeyError, IndexError, TypeError, ValueError):
        raise _NoPlaceError(place) from None


def _in_yaml(source: str, place: Sequence[str], text: str) -> str:
    node = yaml.compose(source, yaml.SafeLoader)
    column = 0
    for name in place:
        node, column = _below(node, name, place)
    if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:str":
        raise _NoPlaceError(place, _NO_TEXT)
    start, end = node.start_mark.index, node.end_mark.index
    old = source[start:end]
    # A block's end is the beginning of what follows it.
    rest = source[end:]
    tail = "\n" if old.endswith("\n") else ""
    events = _events(source)
    changed = next(
        number for number, event in enumerate(events) if event[1] == start and event[2] is not None
    )
    wanted = [(kind, value) for kind, _, value in events]
    wanted[changed] = (wanted[changed][0], text)
    indent = " " * (column + 2)
    block = "|-\n" + "\n".join(f"{indent}{line}" if line else "" for line in text.split("\n"))
    quoted = _NO_YAML.sub(lambda char: f"\\U{ord(char[0]):08x}", json.dumps(text, ensure_ascii=False))
    for new in (block, quoted):
        written = f"{source[:start]}{new}{tail}{rest}"
        try:
            if [(kind, value) for kind, _, value in _events(written)] == wanted:
                return written
        except yaml.YAMLError:
            continue
    raise _NoPlaceError(place, "the text cannot be written there")


def _below(node: Any, name: str, place: Sequence[str]) -> tuple[Any, int]:
    """Return what a name leads to, and the column in which it stands."""
    if isinstance(node, yaml.MappingNode):
        for key, value in reversed(node.value):
            if isinstance(key, yaml.ScalarNode) and key.value == name:
                return value, key.start_mark.column
    if isinstance(node, yaml.SequenceNode) and name.isdecimal() and int(name) < len(node.value):
        value = node.value[int(name)]
        return value, value.start_mark.column
    raise _NoPlaceError(place)


def _events(source: str) -> list[tuple[str, int, str | None]]:
    """Return what a YAML text says, piece by piece; unlike its value, that is no longer than the text."""
    events: list[Any] = list(yaml.parse(source, yaml.SafeLoader))
    return [
        (
            f"{type(event).__name__} {getattr(event, 'anchor', None)} {getattr(event, 'tag', None)}",
            event.start_mark.index,
            getattr(event, "value", None),
        )
        for event in events
    ]


def _in_python(source: str, place: Sequence[str], text: str) -> str:
    found = _assigned(ast.parse(source).body, place)
    if found is None:
        raise _NoPlaceError(place)
    if not isinstance(found, ast.Constant) or not isinstance(found.value, str):
        raise _NoPlaceError(place, _NO_TEXT)
    assert found.end_lineno is not None
    assert found.end_col_offset is not None
    # The parser counts bytes, and takes these three for the ends of lines.
    lines = source.encode().splitlines(keepends=True)
    newline = "\r\n" if lines[0].endswith(b"\r\n") else "\n"
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    whole = source.encode()
    begin = starts[found.lineno - 1] + found.col_offset
    end = starts[found.end_lineno - 1] + found.end_col_offset
    written = whole[:begin] + _python_text(text).replace("\n", newline).encode() + whole[end:]
    again = _assigned(ast.parse(written).body, place)
    if not isinstance(again, ast.Constant) or again.value != text:
        raise _NoPlaceError(place, "the text cannot be written there")
    return written.decode()


def _assigned(body: Sequence[ast.stmt], place: Sequence[str]) -> ast.expr | None:
    """Return what is assigned to a name, the last time; within a class or a dictionary if it has dots."""
    for statement in reversed(body):
        if isinstance(statement, ast.Assign):
            names = statement.targets
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            names = [statement.target]
        elif isinstance(statement, ast.ClassDef) and statement.name == place[0] and len(place) > 1:
            return _assigned(statement.body, place[1:])
        else:
            continue
        if any(isinstance(name, ast.Name) and name.id == place[0] for name in names):
            assert statement.value is not None
            return _within(statement.value, place[1:])
    return None


def _within(value: ast.expr, place: Sequence[str]) -> ast.expr | None:
    if not place:
        return value
    if isinstance(value, ast.Dict):
        for key, item in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == place[0]:
                return _within(item, place[1:])
    return None


def _python_text(text: str) -> str:
    """Write a text as Python does, over several lines where it has them."""
    escaped = text.replace("\\", "\\\\")
    if "\n" in text and all(char.isprintable() or char in "\n\t" for char in text):
        escaped = escaped.replace('"""', '\\"\\"\\"')
        if escaped.endswith('"') and not escaped.endswith('\\"'):
            escaped = f'{escaped[:-1]}\\"'
        return f'"""{escaped}"""'
    quoted = escaped.replace('"', '\\"')
    return f'"{quoted}"' if text.isprintable() else repr(text)


_EDITS: dict[str, Edit] = {"json": _in_json, "yaml": _in_yaml, "python": _in_python}
