"""Which stored traces no reflection may read: an optimisation proves its prompts on their inputs."""

from __future__ import annotations

from ..models import Score, ScoreSource, Task, Trace
from ..optimize.cases import is_held_out
from ..store import Store
from .feedback.cases import input_text
from .feedback.traced import entry_of_trace
from .suite_measure import case_input

#: Stands for the score that would make a trace feedback.
_ANY = Score(name="score", value=0.0, source=ScoreSource.SDK)


class HeldOut:
    """Tells the traces that are held out.

    The same input is held out under the form that a suite's case has it in and, for a task with logged
    feedback, under the form that it would be logged in.

    Args:
        store: Knows which tasks have feedback.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: dict[str, Task | None] = {}

    def __contains__(self, trace: Trace) -> bool:
        # A file that somebody put in is no case.
        if trace.task is None or trace.file is not None:
            return False
        if is_held_out(case_input(trace)):
            return True
        task = self._logged(trace.task)
        inputs = None if task is None else entry_of_trace(trace, _ANY, task).inputs
        return inputs is not None and is_held_out(input_text(inputs))

    def _logged(self, name: str) -> Task | None:
        """Return a task that has feedback, or may yet get it."""
        if name not in self._tasks:
            self._tasks[name] = self._store.tasks.find(name)
        return self._tasks[name]
