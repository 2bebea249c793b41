"""Asking before something that costs, or that cannot be taken back."""

from __future__ import annotations

import sys


def agreed(question: str) -> bool:
    """Ask, where there is somebody who can answer; elsewhere what was typed has to do.

    An end of the input is no consent.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
