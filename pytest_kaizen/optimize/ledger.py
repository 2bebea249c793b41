"""What was paid for, kept so that it is never paid for twice."""

from __future__ import annotations

from typing import Any, Protocol

from ..models import RolloutKey, Scored


class Ledger(Protocol):
    """An append-only record of rollouts, reflections and looks; ``store.Store`` is one."""

    def rollout(self, key: RolloutKey) -> Scored | None:
        """Return a rollout; None when there is none."""
        ...

    def save_rollout(self, key: RolloutKey, scored: Scored) -> None:
        """Keep a rollout; one that is there already stays."""
        ...

    def reflection(self, key: str) -> Any:
        """Return the JSON of a reflection by the hash of its request; None when there is none."""
        ...

    def save_reflection(self, key: str, answer: Any) -> None:
        """Keep the JSON of a reflection; one that is there already stays."""
        ...

    def look(self, task: str, prompt: str, candidate: str) -> int:
        """Note that a candidate is compared with a prompt on the task's held-out cases.

        Args:
            task: The task.
            prompt: The SHA-256 of the active prompt.
            candidate: The SHA-256 of the candidate.

        Returns:
            The number of this look at the task's held-out cases, from 1. The same comparison made
            again is the same look.
        """
        ...


class MemoryLedger:
    """A ledger that lasts as long as the object: for dry runs and simulations."""

    def __init__(self) -> None:
        self._rollouts: dict[RolloutKey, Scored] = {}
        self._reflections: dict[str, Any] = {}
        self._looks: dict[tuple[str, str, str], int] = {}

    def rollout(self, key: RolloutKey) -> Scored | None:
        """Return a rollout; None when there is none."""
        return self._rollouts.get(key)

    def save_rollout(self, key: RolloutKey, scored: Scored) -> None:
        """Keep a rollout; one that is there already stays."""
        self._rollouts.setdefault(key, scored)

    def reflection(self, key: str) -> Any:
        """Return the JSON of a reflection; None when there is none."""
        return self._reflections.get(key)

    def save_reflection(self, key: str, answer: Any) -> None:
        """Keep the JSON of a reflection; one that is there already stays."""
        self._reflections.setdefault(key, answer)

    def look(self, task: str, prompt: str, candidate: str) -> int:
        """Note a look at the task's held-out cases and return its number, from 1."""
        seen = sum(known[0] == task for known in self._looks)
        return self._looks.setdefault((task, prompt, candidate), seen + 1)
