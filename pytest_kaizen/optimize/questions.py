"""Questions to the reflecting model: remembered, so that none is paid for twice, and metered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

from ..errors import BudgetExceeded
from .budget import Meter
from .ledger import Ledger
from .reflector import (
    Answer,
    Lessons,
    ReflectionRequest,
    Reflector,
    RelateRequest,
    Relations,
    Rewrite,
    RewriteRequest,
)

AnswerT = TypeVar("AnswerT", bound=Answer)
RequestT = TypeVar("RequestT", ReflectionRequest, RelateRequest, RewriteRequest)


class Questions:
    """Asks a reflector what the ledger does not know yet.

    Args:
        task: The task that the questions are about.
        model: The model that reflects; another one is asked anew.
        reflector: Reflects.
        ledger: Remembers the answers.
        meter: Caps them.
    """

    def __init__(self, task: str, model: str, reflector: Reflector, ledger: Ledger, meter: Meter) -> None:
        self.task = task
        self.meter = meter
        self._model = model
        self._reflector = reflector
        self._ledger = ledger

    def reflect(self, request: ReflectionRequest) -> Lessons:
        """Draw lessons from failures.

        Raises:
            BudgetExceeded: The budget does not allow it.
            LLMError: The model failed.
        """
        return self._ask(request, Lessons, self._reflector.reflect)

    def relate(self, request: RelateRequest) -> Relations:
        """Find rules that say the same or the opposite; raises as ``reflect`` does."""
        return self._ask(request, Relations, self._reflector.relate)

    def rewrite(self, request: RewriteRequest) -> Rewrite:
        """Ask for a whole text; raises as ``reflect`` does."""
        return self._ask(request, Rewrite, self._reflector.rewrite)

    def _ask(self, request: RequestT, kind: type[AnswerT], ask: Callable[[RequestT], AnswerT]) -> AnswerT:
        key = hashlib.sha256(f"{self.task}\n{self._model}\n{request.model_dump_json()}".encode()).hexdigest()
        kept = self._ledger.reflection(key)
        if kept is not None:
            answer = kind.model_validate(kept)
            cap = self.meter.budget.calls
            if cap is not None and not self.meter.knows(key) and self.meter.used.calls + answer.calls > cap:
                raise BudgetExceeded(f"all {cap} calls to the reflecting model are used")
            self.meter.count_reflection(key, answer.calls, answer.cost_usd)
            return answer
        answer = ask(request)
        self._ledger.save_reflection(key, answer.model_dump(mode="json"))
        # Its calls were counted one by one as they were made.
        self.meter.count_reflection(key, 0, 0.0)
        return answer
