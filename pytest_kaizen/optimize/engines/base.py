"""What an engine is."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ..budget import Meter
from ..evaluator import Evaluator
from ..ledger import Ledger
from ..reflector import Reflector
from ..search import Candidate, OnEvent, SearchJob

#: So many reflections may fail, one after the other, before a search gives up.
MAX_ERRORS = 3


class Estimate(NamedTuple):
    """What a search is expected to use; from the fewest to the most.

    Attributes:
        rollouts: Cases run under candidate prompts.
        calls: Calls to the model that reflects.
    """

    rollouts: tuple[int, int]
    calls: tuple[int, int]


class Engine(Protocol):
    """A way to search for a better prompt."""

    def estimate(self, job: SearchJob, rollouts: int | None) -> Estimate:
        """Say what a search will use.

        Args:
            job: The search.
            rollouts: The cap on rollouts, None for none.
        """
        ...

    def run(
        self,
        job: SearchJob,
        evaluate: Evaluator,
        reflect: Reflector,
        ledger: Ledger,
        budget: Meter,
        on_event: OnEvent,
    ) -> list[Candidate]:
        """Search until the budget or the job's epochs are used up.

        The same seed and the same answers of evaluator and reflector give the same candidates.

        Args:
            job: What is searched.
            evaluate: Runs cases.
            reflect: Reflects on failures.
            ledger: What it holds is not paid for again.
            budget: Refuses what would pass a cap.
            on_event: Is told about progress.

        Returns:
            Candidates other than the active prompt, the best first; none when nothing better was
            found.

        Raises:
            LLMError: The reflecting model failed again and again.
        """
        ...
