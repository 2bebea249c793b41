"""Where a prompt stands in the program that uses it, which says what task a call is for."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from types import FrameType
from typing import Any, NamedTuple

# Shorter texts are found in too many prompts by chance.
_SHORTEST = 12
#: Where code lies that is not the program's own.
_ELSEWHERE = (str(Path(__file__).parents[2]) + os.sep, sysconfig.get_path("stdlib") + os.sep, "<frozen")


class Origin(NamedTuple):
    """The place of a call's prompt.

    Attributes:
        file: The caller's file.
        variable: The variable that holds the prompt; None when none was found.
        function: The function that calls.
    """

    file: str
    variable: str | None
    function: str

    @property
    def task(self) -> str:
        """``prompts_summarize``: the file's name without its ending, and the variable in it."""
        return f"{Path(self.file).stem}_{self.variable or self.function.strip('<>')}"


def find_origin(texts: list[str], task_map: Mapping[str, str]) -> Origin:
    """Find the variable that holds a prompt, in the function that calls and in its file.

    It is the one with the longest text that is part of the prompt; of a template
    (``"Summarize {ticket}"``), all of its fixed text in order. A variable in ``task_map`` comes first.

    Args:
        texts: The prompt's texts.
        task_map: Variables by which the user names tasks.
    """
    frame = _caller()
    best: tuple[bool, int, str] | None = None
    for scope in (frame.f_locals, frame.f_globals):
        for name, value in list(scope.items()):
            length = _match(value, texts)
            rank = (name in task_map, length, name)
            if length >= _SHORTEST and (best is None or rank[:2] > best[:2]):
                best = rank
    return Origin(frame.f_code.co_filename, best[2] if best else None, frame.f_code.co_name)


def _caller() -> FrameType:
    """Return the nearest frame that is none of ours and of no installed package."""
    frame: FrameType | None = sys._getframe(1)
    outermost = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_ELSEWHERE) and "site-packages" not in file:
            return frame
        outermost, frame = frame, frame.f_back
    return outermost


def _match(value: Any, texts: list[str]) -> int:
    """Return how many characters of a value are found in the prompt; 0 unless all are, in order."""
    if not isinstance(value, str) or len(value) < _SHORTEST:
        return 0
    if any(value in text for text in texts):
        return len(value)
    try:
        pieces = [literal for literal, *_ in Formatter().parse(value) if literal]
    except ValueError:
        # Braces of another kind: no template.
        return 0
    return max((_length_in_order(pieces, text) for text in texts), default=0)


def _length_in_order(pieces: list[str], text: str) -> int:
    position = 0
    for piece in pieces:
        position = text.find(piece, position)
        if position < 0:
            return 0
        position += len(piece)
    return sum(map(len, pieces))
