"""One parser for each kind of value that comes as text; a bad value is a ``ValueError``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from .backends import BACKENDS, LOCAL

#: The endings that say in which form a report is written.
REPORT_FORMS = (".html", ".md", ".json")


def prompt_versions(value: str | list[str]) -> dict[str, int]:
    """Parse ``TASK=N`` items: a list from the command line, words in ini and environment."""
    versions = {}
    for item in value.split() if isinstance(value, str) else value:
        task, _, number = item.partition("=")
        if not task or not number.isdecimal() or int(number) < 1:
            raise ValueError(f"expected TASK=N with N counted from 1 (found {item!r})")
        versions[task] = int(number)
    return versions


def count(value: Any) -> int:
    """Parse a number counted from 1; YAML gives an int, every other place text."""
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"expected a whole number, 1 or more (found {value!r})")
    return number


def confidence(value: Any) -> float:
    """Parse the probability that a gate states."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0.5 < number < 1:
        raise ValueError(f"expected a number above 0.5 and below 1, such as 0.95 (found {value!r})")
    return number


def baseline(value: str) -> str:
    """Parse what scores are compared with."""
    if value == "branch:":
        raise ValueError("expected a file, last or branch:NAME (found 'branch:' without a name)")
    return value


def backends(value: str | list[str]) -> tuple[str, ...]:
    """Parse names of backends: a list from the command line, words in ini and environment."""
    names = value.replace(",", " ").split() if isinstance(value, str) else value
    for name in names:
        if name not in (LOCAL, *BACKENDS):
            raise ValueError(f"expected one of {', '.join((LOCAL, *BACKENDS))} (found {name!r})")
    return tuple(dict.fromkeys(name for name in names if name != LOCAL))


def seconds(value: Any) -> float:
    """Parse a length of time; 0 is none at all."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError(f"expected seconds, 0 or more (found {value!r})")
    return number


def reports(value: str | list[str]) -> list[str]:
    """Parse report files: a list from the command line, words in ini and environment."""
    paths = value.split() if isinstance(value, str) else value
    for path in paths:
        if PurePath(path).suffix not in REPORT_FORMS:
            *most, last = REPORT_FORMS
            raise ValueError(f"expected a file that ends in {', '.join(most)} or {last} (found {path!r})")
    return paths


def on_off(value: str) -> bool:
    """Parse a switch."""
    return one_of("on", "off")(value) == "on"


def one_of(*valid: str) -> Callable[[str], str]:
    """Return a parser that takes these words alone."""

    def parse(value: str) -> str:
        if value not in valid:
            raise ValueError(f"expected one of {', '.join(valid)} (found {value!r})")
        return value

    return parse
