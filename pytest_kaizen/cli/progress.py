"""How far long work is: on the error output, and on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pytest_kaizen.report.plain import plain
from pytest_kaizen.report.text import safe_text

Say = Callable[[str], None]


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


def _pass(_line: str) -> None:
    """Show nothing."""


def _print(line: str) -> None:
    print(safe_text(line), file=sys.stderr)
