"""Gates that did not pass → workflow commands, by which GitHub marks lines of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: GitHub shows so many errors of a step and drops the rest.
MOST = 10


@dataclass(frozen=True)
class Annotation:
    """A message at a line of a file.

    Attributes:
        file: Relative to the repository's root, with forward slashes.
        line: Counted from 1.
    """

    file: str
    line: int
    title: str
    message: str


def annotation_lines(annotations: Sequence[Annotation]) -> list[str]:
    """Write workflow commands, each of which must begin a line; the last says how many more there are."""
    shown = list(annotations[:MOST])
    if len(annotations) > MOST:
        last = shown[-1]
        more = f"{last.message} (and {len(annotations) - MOST} more gates did not pass)"
        shown[-1] = Annotation(last.file, last.line, last.title, more)
    return [
        f"::error file={_property(a.file)},line={a.line},title={_property(a.title)}::{_data(a.message)}"
        for a in shown
    ]


def _data(text: str) -> str:
    """Escape a message as the runner reads it back."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
