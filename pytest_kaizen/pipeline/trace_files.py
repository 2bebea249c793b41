"""Files → traces in the store."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..models import Trace, TraceFile, new_trace_id

if TYPE_CHECKING:
    from ..capture import Redactor

FileType = Literal["md", "json", "txt"]
FILE_TYPES: tuple[FileType, ...] = ("md", "json", "txt")


class NewFile(NamedTuple):
    """A file to put in: its base name, its text and what kind of text that is."""

    filename: str
    content: str
    file_type: FileType


def file_type_of(filename: str) -> FileType:
    """Tell the kind of a file by the ending of its name; ``txt`` for any that is not known."""
    ending = filename.rpartition(".")[2].lower()
    return next((known for known in FILE_TYPES if known == ending), "txt")


def file_traces(files: Iterable[NewFile], redactor: Redactor, task: str | None = None) -> list[Trace]:
    """Make traces of files, without the secrets in them.

    Args:
        files: The files.
        redactor: Finds the secrets.
        task: The task that they are of.
    """
    now = datetime.now(UTC)
    return [_trace(file, redactor.text(file.content), task, now) for file in files]


def _trace(file: NewFile, content: str, task: str | None, now: datetime) -> Trace:
    size = len(content.encode("utf-8", "replace"))
    return Trace(
        id=new_trace_id(),
        task=task,
        name=file.filename,
        created_at=now,
        output=content,
        file=TraceFile(filename=file.filename, file_type=file.file_type, size=size),
    )
