"""Numbers on the command line."""

from __future__ import annotations

import argparse
from typing import NoReturn


def count(text: str) -> int:
    """Parse a whole number, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        _refuse("a whole number, 1 or more", text)
    return int(text)


def dollars(text: str) -> float:
    """Parse an amount of money."""
    return _above_zero("an amount in US dollars above 0", text)


def seconds(text: str) -> float:
    """Parse a time."""
    return _above_zero("seconds above 0", text)


def _above_zero(what: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        _refuse(what, text)
    return value


def _refuse(expected: str, found: str) -> NoReturn:
    raise argparse.ArgumentTypeError(f"expected {expected} (found {found!r})")
