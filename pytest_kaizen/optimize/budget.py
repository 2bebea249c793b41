"""What a job may spend, the meter that keeps it from spending more, and the ledger of what is paid for."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import BudgetExceeded, LLMError
from ..llm import LLM, Completion, LLMRequest
from ..models import RolloutKey, Scored, Spend, Usage
from ..prices import Prices

#: What the API adds to the text of a request (roles, the schema's wrapping), in tokens, at most.
_OVERHEAD_TOKENS = 2000


@dataclass(frozen=True)
class Budget:
    """Caps; None is none.

    Attributes:
        usd: Money for rollouts, judging and reflection together.
        rollouts: Cases run under candidate prompts, a sample each.
        calls: Calls to the model that reflects.
    """

    usd: float | None = None
    rollouts: int | None = None
    calls: int | None = None


class Meter:
    """Counts what a job uses and refuses what would pass a cap, before it is spent.

    A rollout or reflection counts once in a job, and it counts whether it was paid for now or comes
    from the ledger of a job that was killed: so a resumed job searches exactly as far as the
    original would have, and pays for the rest alone.

    Money for rollouts is reserved at the greatest cost seen so far, grown with the prompt, and one
    more; a rollout that costs more than twice the greatest before it may still pass the cap. Calls
    of the reflecting model are reserved at the most that they can cost.

    Args:
        budget: The caps.

    Attributes:
        used: What counts against the caps.
        paid: The part that this process paid for.
        unpriced: Rollouts whose cost is not known; the cap in money does not cover them.
    """

    def __init__(self, budget: Budget | None = None) -> None:
        self.budget = budget or Budget()
        self.used = Spend()
        self.paid = Spend()
        self.unpriced = 0
        self._counted: set[Hashable] = set()
        self._dearest = 0.0
        self._held = 0
        self._lock = threading.Lock()

    def knows(self, key: Hashable) -> bool:
        """Return whether a rollout or reflection was counted before."""
        return key in self._counted

    @property
    def blind(self) -> bool:
        """Whether there is a cap in money and no rollout yet to tell what one costs."""
        return self.budget.usd is not None and self._dearest == 0 and self.used.rollouts == 0

    def require_rollouts(self, wanted: int, growth: float = 1.0) -> None:
        """Make sure that rollouts fit.

        Args:
            wanted: How many that were not counted before.
            growth: How much longer the prompt is than the first one, at least 1.

        Raises:
            BudgetExceeded: They do not, and none may run.
        """
        cap = self.budget.rollouts
        if wanted and cap is not None and self.used.rollouts + wanted + self._held > cap:
            kept = f", {self._held} are kept for the comparison" if self._held else ""
            raise BudgetExceeded(
                f"{wanted} more rollouts do not fit: {self.used.rollouts} of {cap} are used{kept}"
            )
        self._require_usd((wanted + 1) * self._dearest * max(growth, 1.0) if wanted else 0.0)

    @contextmanager
    def held(self, rollouts: int) -> Iterator[None]:
        """Keep rollouts, and the money for them, back from what runs inside."""
        self._held += rollouts
        try:
            yield
        finally:
            self._held -= rollouts

    def count_rollout(self, key: Hashable, usd: float | None, *, paid: bool) -> None:
        """Count a rollout; one that was counted before does not count again."""
        with self._lock:
            if key in self._counted:
                return
            self._counted.add(key)
            self.unpriced += usd is None
            self._dearest = max(self._dearest, usd or 0.0)
            for spend in (self.used, self.paid) if paid else (self.used,):
                spend.rollouts += 1
                spend.usd += usd or 0.0

    def count_reflection(self, key: Hashable, calls: int, usd: float) -> None:
        """Count a reflection out of the ledger; a live one is counted call by call."""
        with self._lock:
            if key not in self._counted:
                self._counted.add(key)
                self.used.calls += calls
                self.used.usd += usd

    def reserve_call(self, most_usd: float, *, reflects: bool = True) -> None:
        """Count a call that is about to be made, at the most it can cost.

        Args:
            most_usd: The most it can cost.
            reflects: It counts against the cap on reflecting calls too.

        Raises:
            BudgetExceeded: It does not fit, and must not be made.
        """
        with self._lock:
            cap = self.budget.calls
            if reflects and cap is not None and self.used.calls + 1 > cap:
                raise BudgetExceeded(f"all {cap} calls to the reflecting model are used")
            self._require_usd(most_usd)
            for spend in (self.used, self.paid):
                spend.calls += reflects
                spend.usd += most_usd

    def settle_call(self, most_usd: float, usd: float) -> None:
        """Put what a call did cost in the place of what was reserved for it."""
        with self._lock:
            for spend in (self.used, self.paid):
                spend.usd += usd - most_usd

    def _require_usd(self, usd: float) -> None:
        cap = self.budget.usd
        if cap is not None and usd and self.used.usd + usd + self._held * self._dearest > cap:
            raise BudgetExceeded(f"${self.used.usd:.4g} of ${cap:g} is used, and the next step may pass it")


class CappedLLM:
    """A model whose calls are counted and capped by a meter, before they are made.

    Args:
        llm: The door to the model.
        meter: The job's.
        prices: What calls cost.
        reflects: Whether the model reflects, so that its calls count as such.
    """

    def __init__(self, llm: LLM, meter: Meter, prices: Prices, *, reflects: bool = True) -> None:
        self._reflects = reflects
        self._llm = llm
        self._meter = meter
        self._prices = prices

    def complete(self, request: LLMRequest) -> Completion:
        """Ask the model and wait for its whole answer.

        Raises:
            BudgetExceeded: The call might pass the budget, and was not made.
            LLMError: There is no whole answer; also a budget with a model of unknown price.
        """
        most = self._most(request)
        self._meter.reserve_call(most, reflects=self._reflects)
        try:
            completion = self._llm.complete(request)
        except LLMError as exc:
            # What a call cost that was sent is not known: its reservation stands, so that the cap holds.
            if exc.unsent:
                self._meter.settle_call(most, 0.0)
            raise
        self._meter.settle_call(most, completion.cost_usd or 0.0)
        return completion

    def _most(self, request: LLMRequest) -> float:
        # A token is at least one byte.
        text = f"{request.system}{request.prompt}{request.schema}"
        tokens = len(text.encode("utf-8", "replace")) + _OVERHEAD_TOKENS
        usage = Usage(input_tokens=tokens, output_tokens=request.max_tokens)
        most = self._prices.cost(request.model, usage)
        if most is None and self._meter.budget.usd is not None:
            raise LLMError(
                f"'{request.model}' has no known price, so the budget of ${self._meter.budget.usd:g} cannot "
                "be kept; add the model to your price file (prices in kaizen.yaml)"
            )
        return most or 0.0


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
