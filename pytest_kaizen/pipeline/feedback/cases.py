"""Logged feedback → cases: each input once, with the best answer that was logged for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ...models import SEED, UNNAMED, FeedbackEntry
from ...optimize import TaskCase
from ...optimize.cases import input_text


@dataclass(frozen=True)
class LoggedCase:
    """An input that was logged, once or more often.

    Attributes:
        inputs: The input, by name.
        reference: An answer known to be good; None when none was logged.
        text: The input as a trace of it has it, so that both fall to the same side of a split.
        id: The case.
    """

    inputs: dict[str, Any]
    reference: str | None = None
    text: str = field(init=False)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        only = self.inputs.keys() == {UNNAMED}
        text = input_text(self.inputs[UNNAMED] if only else self.inputs)
        # Another reference gives other scores: it makes another case, on the same side of the split.
        digest = hashlib.sha256(f"{text}\0{self.reference}".encode("utf-8", "surrogatepass")).hexdigest()
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "id", f"feedback/{digest[:16]}")

    @property
    def case(self) -> TaskCase:
        """The case as a search sees it."""
        return TaskCase(self.id, self.text)


def logged_cases(entries: Iterable[FeedbackEntry]) -> list[LoggedCase]:
    """Return the different inputs of entries, in the order they first come.

    Args:
        entries: The entries, the newest first. Those without inputs are left out.
    """
    grouped: dict[str, list[FeedbackEntry]] = {}
    for entry in entries:
        if entry.inputs is not None:
            grouped.setdefault(input_text(entry.inputs), []).append(entry)
    return [
        LoggedCase(same[0].inputs or {}, next((e.output for e in same if is_good(e)), None))
        for same in grouped.values()
    ]


def is_good(entry: FeedbackEntry) -> bool:
    """Whether an entry's output is an answer to compare with: full marks, or an example without a score."""
    return entry.output is not None and (entry.score == 1 or (entry.source == SEED and entry.score is None))
