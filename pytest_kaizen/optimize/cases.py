"""The cases of a task, and which of them a search may see."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

#: Shares of search and validation; the rest is held out.
DEFAULT_SHARES = (0.5, 0.2)


@dataclass(frozen=True)
class TaskCase:
    """One case as the search sees it.

    Attributes:
        id: pytest's node id, or the id of a logged input.
        input: What the program is given, as text; cases with equal inputs stay together.
    """

    id: str
    input: str

    @property
    def key(self) -> str:
        """The case in a ledger: an edited input makes it another case."""
        return f"{self.id}#{_digest(self.input)[:16]}"


class Split(NamedTuple):
    """Three disjoint sets of cases, each in the order of their ids.

    Attributes:
        search: An engine reads their failures.
        validation: An engine picks among its candidates by their scores; nobody reads them.
        held_out: The winner is looked at on these, once.
    """

    search: tuple[TaskCase, ...]
    validation: tuple[TaskCase, ...]
    held_out: tuple[TaskCase, ...]


def split_cases(
    cases: Iterable[TaskCase], *, search: float = DEFAULT_SHARES[0], validation: float = DEFAULT_SHARES[1]
) -> Split:
    """Split cases by a stable hash of their input.

    The same input lands on the same side in every job, whatever other cases there are and whichever
    tests use it; so no case that a search has read is ever held out later. The shares hold on
    average, not exactly.

    Args:
        cases: The task's cases.
        search: The share of the search, in (0, 1).
        validation: The share of the validation, in [0, 1).

    Raises:
        ValueError: Shares that leave nothing to search in or nothing to hold out.
    """
    sides: tuple[list[TaskCase], ...] = ([], [], [])
    for case in sorted(cases, key=lambda case: case.id):
        sides[_side(case.input, search, validation)].append(case)
    return Split(*map(tuple, sides))


def is_held_out(
    text: str, *, search: float = DEFAULT_SHARES[0], validation: float = DEFAULT_SHARES[1]
) -> bool:
    """Return whether a case with this input is held out; see ``split_cases``."""
    return _side(text, search, validation) == 2


def input_text(value: Any) -> str:
    """Write an input so that equal ones are the same text: a text as it is, anything else as JSON.

    Whatever a case comes from, it is by this text that it falls to one side of the split.
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    except (TypeError, ValueError):
        return str(value)


def _side(text: str, search: float, validation: float) -> int:
    if not (0 < search < 1 and 0 <= validation < 1 and search + validation < 1):
        raise ValueError(
            f"the shares of search ({search:g}) and validation ({validation:g}) must leave a share held out"
        )
    place = int(_digest(text)[:13], 16) / 16**13
    return 0 if place < search else 1 if place < search + validation else 2


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
