"""How a cassette is kept for people to read and compare: its file's place, its JSON, bodies in that.

Short things stand on one line, long texts line by line.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..parsers.base import loads

FOLDER = "cassettes"
_LONGEST = 100
_UNSAFE = re.compile(r"[^\w.-]+", re.ASCII)

_WIDTH = 100
_STEP = "  "
_LINES = "|"
_MARKED = f'"{_LINES}"'
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")

Redact = Callable[[Any], Any]

_FIELD = re.compile(r"(event|data|id|retry): ?(.*)")
#: What stands below a ``delta`` and is written in one piece.
_NO_TEXT = frozenset({"id", "name", "role", "signature", "status", "stop_reason", "type"})
_LINE_END = re.compile(r"\r\n|\n|\r")
_BLOCK = re.compile(r".*?(?:\r\n\r\n|\n\n|\r\r)", re.DOTALL)


def cassette_path(test_file: Path, test: str) -> Path:
    """Return the file for a test's records: ``cassettes/<module>/<test>.json`` beside the test's.

    No two tests of a module share a file, on any file system: where a test's parameters cannot
    stand in a file name as they are, or would differ from others in upper case alone, a hash does
    in addition.

    Args:
        test_file: The file of the test.
        test: The test's name within it: ``TestTickets::test_summary[lamp]``.
    """
    function, bracket, parameters = test.partition("[")
    plain = function.replace("::", ".")
    if bracket:
        plain += f"-{parameters.removesuffix(']')}"
    safe = _UNSAFE.sub("_", plain)
    is_plain = safe == plain and parameters == parameters.lower() and len(safe) <= _LONGEST
    if not is_plain:
        digest = hashlib.sha256(test.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        safe = f"{safe[: _LONGEST - 9]}-{digest}"
    return _folder(test_file) / f"{safe}.json"


@lru_cache(maxsize=16)
def _folder(test_file: Path) -> Path:
    # The tests of a module come one after another.
    return test_file.parent.joinpath(FOLDER, test_file.stem)


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


def encode_body(body: bytes) -> dict[str, Any]:
    """Describe a body: ``{"json": …}`` where it is a JSON object or list, else ``{"text": …}``."""
    text = _decoded(body)
    value = _structure(text)
    return {"text": text} if value is None else {"json": value}


def encode_stream(chunks: Sequence[bytes], redact: Redact) -> dict[str, Any]:
    """Describe a stream of server-sent events chunk by chunk: ``{"chunks": [[event, …], …]}``.

    An event whose data is JSON is an object, any other its text. Where chunks end within events
    they are texts, unless a secret had to be taken out of them: then each event is a chunk.

    Args:
        chunks: The chunks, decompressed.
        redact: Takes secrets out of plain data.
    """
    texts = [_decoded(chunk) for chunk in chunks]
    # A chunk may end within a character; its bytes are escaped one by one and so survive.
    blocks = [list(_blocks(text)) for text in texts]
    if all(_is_whole(blocks_of_one[-1]) for blocks_of_one in blocks[:-1] if blocks_of_one):
        return {
            "chunks": _redacted([[_event(block) for block in chunk] for chunk in blocks if chunk], redact)
        }
    whole = [[_event(block)] for block in _blocks(_decoded(b"".join(chunks)))]
    before = json.dumps(whole)
    clean = _redacted(whole, redact)
    return {"chunks": OneLine(texts) if json.dumps(clean) == before else clean}


def check_body(described: dict[str, Any]) -> None:
    """Check that a description can be decoded.

    Raises:
        ValueError: It is none that ``encode`` or ``encode_stream`` gives.
    """
    chunks = described.get("chunks", [])
    events = [event for chunk in chunks if isinstance(chunk, list) for event in chunk]
    if (
        described.keys().isdisjoint({"chunks", "json", "text"})
        or not isinstance(described.get("text", ""), str)
        or not isinstance(chunks, list)
        or not all(isinstance(chunk, (str, list)) for chunk in chunks)
        or not all(isinstance(event, (str, dict)) for event in events)
    ):
        raise ValueError("expected a body: 'json', 'text' or 'chunks'")


def decode_body(described: dict[str, Any]) -> list[bytes]:
    """Return the chunks of a body; one that is no stream has one chunk."""
    if "chunks" in described:
        return [_encoded(_chunk_text(chunk)) for chunk in described["chunks"]]
    if "json" in described:
        return [json.dumps(described["json"], separators=(",", ":")).encode()]
    return [_encoded(described.get("text", ""))]


def assembled(chunks: Sequence[Any]) -> list[str]:
    """Put together the texts that a stream brings in pieces, in the order of their beginnings."""
    events = [event for chunk in chunks if isinstance(chunk, list) for event in chunk]
    texts = ("".join(holder[key] for holder, key in found) for found in _pieces(events).values())
    return [text for text in texts if text]


def _structure(text: str) -> Any:
    """Parse a JSON object or list; None for anything else."""
    if not text.lstrip()[:1].startswith(("{", "[")):
        return None
    try:
        value = loads(text)
    except (ValueError, RecursionError):
        return None
    return value if is_restorable(value) else None


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _blocks(text: str) -> Iterator[str]:
    """Split a stream behind the empty lines that end its events; the last piece may lack one."""
    end = 0
    for match in _BLOCK.finditer(text):
        end = match.end()
        yield match[0]
    if end < len(text):
        yield text[end:]


def _is_whole(block: str) -> bool:
    return _BLOCK.fullmatch(block) is not None


def _event(block: str) -> Any:
    if not _is_whole(block):
        return block
    fields: dict[str, Any] = {}
    for line in _LINE_END.split(block)[:-2]:
        match = _FIELD.fullmatch(line)
        if match is None or match[1] in fields:
            return block
        value = _structure(match[2]) if match[1] == "data" else None
        fields[match[1]] = match[2] if value is None else value
    return fields or block


def _chunk_text(chunk: Any) -> str:
    if isinstance(chunk, str):
        return chunk
    return "".join(event if isinstance(event, str) else _event_text(event) for event in chunk)


def _event_text(event: dict[str, Any]) -> str:
    lines = (
        f"{name}: {value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}\n"
        for name, value in event.items()
    )
    return "".join(lines) + "\n"


def _redacted(chunks: list[list[Any]], redact: Redact) -> OneLine:
    clean = redact(chunks)
    _redact_across([event for chunk in clean for event in chunk], redact)
    return OneLine(clean)


def _redact_across(events: list[Any], redact: Redact) -> None:
    """Take out the secrets that a model wrote in several pieces.

    The pieces of one text stand under the same keys of events of the same kind. Where their whole
    has a secret, the first piece becomes the whole without it, and the others become empty.
    """
    for found in _pieces(events).values():
        whole = "".join(holder[key] for holder, key in found)
        clean = redact(whole)
        if clean != whole:
            for number, (holder, key) in enumerate(found):
                holder[key] = "" if number else clean


def _pieces(events: list[Any]) -> dict[tuple[Any, ...], list[tuple[dict[str, Any], str]]]:
    """Find the pieces of each text: what holds them, under which key."""
    pieces: dict[tuple[Any, ...], list[tuple[dict[str, Any], str]]] = {}
    for event in events:
        if isinstance(event, dict) and isinstance(event.get("data"), dict):
            for place, holder, key in _deltas(event["data"], (), within=False):
                pieces.setdefault(place, []).append((holder, key))
    return pieces


def _deltas(
    value: Any, place: tuple[Any, ...], *, within: bool
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any], str]]:
    """Yield the texts below a key ``delta``: where they belong, and what holds them under which key."""
    if isinstance(value, list):
        for item in value:
            yield from _deltas(item, place, within=within)
    elif isinstance(value, dict):
        indexes = [(key, item) for key, item in value.items() if key.endswith("index")]
        here = (*place, *indexes)
        for key, item in value.items():
            inside = within or key == "delta"
            if isinstance(item, str):
                if inside and key not in _NO_TEXT:
                    yield (*here, key), value, key
            else:
                yield from _deltas(item, (*here, key), within=inside)
