"""What an improvement will cost, told by a pilot."""

from __future__ import annotations

from typing import NamedTuple

from .engines import Engine
from .reflector import ReflectionRequest
from .workbench import Workbench, failures_in

#: Rollouts of the pilot.
_PILOT = 3
#: How far the prompt may grow: what it and each rollout costs grows by as much at most.
_GROWTH = 2.0


class CostEstimate(NamedTuple):
    """A range, from what is likely the least to the most.

    Attributes:
        usd: None when the pilot's rollouts have no known price.
        rollouts: The final comparison included.
        calls: Calls to the model that reflects.
        reasons: Whether the scores say why: without reasons a reflection has nothing to go by, and
            the user is to be warned before more is spent.
        notes: What else is to be known before that.
    """

    usd: tuple[float, float] | None
    rollouts: tuple[int, int]
    calls: tuple[int, int]
    reasons: bool
    notes: tuple[str, ...] = ()


def estimate(bench: Workbench, engine: Engine, final: int) -> CostEstimate:
    """Run a few cases and one reflection, and scale them up.

    Args:
        bench: Runs and meters the pilot.
        engine: Says how much of each it will use.
        final: The rollouts of the comparison after the search.

    Raises:
        BudgetExceeded: Not even the pilot fits.
        LLMError: The reflecting model failed.
    """
    job = bench.job
    cases = job.search[:_PILOT]
    rollouts = bench.run(job.prompt, cases)
    failures = failures_in(rollouts, cases)
    per_call = 0.0
    if failures:
        lessons = bench.reflect(
            ReflectionRequest(
                task=job.task, prompt=job.prompt, failures=tuple(failures[: job.chunk]), mode=job.mode
            )
        )
        per_call = lessons.cost_usd / max(lessons.calls, 1)
    cap = bench.meter.budget.rollouts
    search = engine.estimate(job, None if cap is None else max(cap - final, 0))
    counts = (search.rollouts[0] + final, search.rollouts[1] + final)
    costs = [rollout.cost_usd for rollout in rollouts if rollout.cost_usd is not None]
    usd = None
    if len(costs) == len(rollouts):
        mean = sum(costs) / len(costs)
        usd = (
            counts[0] * mean + search.calls[0] * per_call,
            _GROWTH * (counts[1] * max(costs) + search.calls[1] * per_call),
        )
    reasons = not failures or any(item.reason for failure in failures for item in failure.feedback)
    return CostEstimate(usd, counts, search.calls, reasons)
