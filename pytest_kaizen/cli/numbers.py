"""Numbers on the command line."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kMGT]?)B?", re.IGNORECASE)
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


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


def days(text: str) -> float:
    """Parse a time in days, a hundred years at most."""
    what = "days above 0 and up to 36500"
    value = _above_zero(what, text)
    if value > 36_500:
        _refuse(what, text)
    return value


def share(text: str) -> float:
    """Parse a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        _refuse("a number from 0 to 1", text)
    return value


def size(text: str) -> int:
    """Parse a number of bytes: ``500MB``, ``1.5 GB``, ``4096``."""
    found = _SIZE.fullmatch(text)
    value = int(float(found[1]) * _BYTES[found[2].lower()]) if found else 0
    if value < 1:
        _refuse("a size, 500MB or 20GB for instance", text)
    return value


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
