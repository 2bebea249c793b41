"""Who watches a command: asked before what costs or cannot be taken back, shown how far long work is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Self

from ..report.text import plain, safe_text

Say = Callable[[str], None]


def agreed(question: str) -> bool:
    """Ask, where there is somebody who can answer; elsewhere what was typed has to do.

    An end of the input is no consent.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextmanager
def progress(first: str) -> Iterator[Say]:
    """Show a line of text while the block works.

    With the extra ``cli`` a line takes the place of the one before, and moves; without it they are
    printed one after the other. A log, which nobody watches, gets none.

    Args:
        first: The line until there is another.

    Yields:
        What shows another line.
    """
    if not sys.stderr.isatty():
        yield _pass
        return
    try:
        # Only who watches waits for its import.
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        yield _print
        return
    with Console(stderr=True).status(Text(plain(first))) as shown:
        yield lambda line: shown.update(Text(plain(line)))


class Shown:
    """The same, for work that asks something in between: what is shown is put away for that.

    Calling it shows a line. A context manager that puts it away at its end.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._say: Say | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.put_away()

    def __call__(self, line: str) -> None:
        """Show a line, until there is another."""
        if self._say is None:
            self._say = self._stack.enter_context(progress(line))
        self._say(line)

    def put_away(self) -> None:
        """Show nothing until the next line."""
        self._say = None
        self._stack.close()


def _pass(_line: str) -> None:
    """Show nothing."""


def _print(line: str) -> None:
    print(safe_text(line), file=sys.stderr)
