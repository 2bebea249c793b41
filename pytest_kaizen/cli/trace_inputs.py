"""Files named on the command line, read as traces."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pytest_kaizen.errors import UsageError
from pytest_kaizen.pipeline.trace_files import FileType, NewFile, file_type_of
from pytest_kaizen.report.plain import plain


class Input(NamedTuple):
    """A file that was named, or lies in a folder that was.

    Attributes:
        path: Where it is; ``-`` for standard input.
        within: Its path within that folder, with ``/``; its base name where it was named itself.
        file: What is in it.
    """

    path: Path
    within: str
    file: NewFile


def read_inputs(paths: Sequence[str], kind: FileType | None = None) -> Iterator[Input]:
    """Read files, folders with all that is in them, and ``-`` for standard input.

    What is hidden in a folder is passed over; what cannot be read there is left out, with a warning.

    Args:
        paths: What was named.
        kind: Of all the files; None: by their endings.

    Raises:
        UsageError: A file that was named cannot be read.
    """
    for given in paths:
        path = Path(given)
        if given == "-":
            # Bytes that are no text must not break off what else is read.
            text = sys.stdin.buffer.read().decode("utf-8", "replace")
            yield Input(path, "stdin.txt", NewFile("stdin.txt", text, kind or "txt"))
        elif path.is_dir():
            for inside in sorted(found for found in path.rglob("*") if _is_visible(found, path)):
                try:
                    yield Input(inside, inside.relative_to(path).as_posix(), _read(inside, kind))
                except UsageError as exc:
                    print(plain(f"kaizen: left out: {exc}"), file=sys.stderr)
        else:
            yield Input(path, path.name, _read(path, kind))


def _is_visible(path: Path, folder: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _read(path: Path, kind: FileType | None) -> NewFile:
    try:
        # Not read_text, which changes the ends of lines.
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot be read: {exc}", path=path) from None
    return NewFile(path.name, text, kind or file_type_of(path.name))
