"""What runs cases under a candidate prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from ..models import Scored


class Evaluator(Protocol):
    """Runs cases under a prompt and scores them: a suite's worker process, or a model and a rubric.

    Everything that goes in and comes out is plain JSON (texts, numbers, ``Scored`` by pydantic), so
    that an implementation may sit behind a pipe or on another machine.
    """

    def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> Iterable[Scored]:
        """Run every case once for each sample number, as far as possible at the same time.

        Args:
            prompt: The text of the candidate.
            cases: The ids of the cases.
            samples: The numbers of the samples of each case, counted from 0.

        Returns:
            The rollouts in any order, best handed over one by one as they end: what was handed over
            survives a kill. One that fails is a ``Scored`` with an error, never an exception; one
            that is missing counts as failed.
        """
        ...
