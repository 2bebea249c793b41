"""Whether a candidate is better, told by cases that the search never saw."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..gate import change_interval, change_test, mean_interval
from ..gate.draws import bar_draws
from ..gate.sentence import TOLERANCE, score_number
from ..models import Acceptance, CasePair, CriterionPair, Decision, Outcome, Scored
from .budget import Ledger
from .search import TaskCase
from .workbench import Workbench

#: The precision of the detectable gain.
_STEPS = 50

Pairs = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Standard:
    """What a candidate must reach.

    Attributes:
        min_gain: The mean paired gain has to exceed this, in [0, 1).
        confidence: One minus the chance that any candidate ever looked at on these cases is
            accepted wrongly.
        critical: Names of criteria whose mean must not fall.
        samples: Rollouts of each held-out case under each prompt.
    """

    min_gain: float = 0.02
    confidence: float = 0.95
    critical: frozenset[str] = frozenset()
    samples: int = 1


def look_level(look: int, confidence: float) -> float:
    """Return the error allowed to a look: the levels of all looks ever sum to ``1 - confidence``.

    Every further look at the same cases gets less (alpha spending by 1/k², as in Foster and Stine's
    alpha investing without the returns), so that nobody has to say beforehand how many there will be.
    """
    return (1 - confidence) * 6 / (math.pi**2 * look**2)


def accept(
    bench: Workbench,
    ledger: Ledger,
    candidate: str,
    held_out: Sequence[TaskCase],
    standard: Standard,
) -> Acceptance:
    """Look at one candidate on the held-out cases, beside the active prompt.

    The test is the gate's own (``gate.change_test``): valid for cases that are a random sample of
    what the task will meet, in a random order fixed by their ids.

    Args:
        bench: Runs the cases; its job's prompt is the active one.
        ledger: Counts the looks.
        candidate: The candidate's text.
        held_out: The cases.
        standard: What the candidate must reach.

    Raises:
        BudgetExceeded: The comparison does not fit into the budget; it counts as no look.
    """
    job = bench.job
    samples = range(standard.samples)
    before = bench.run(job.prompt, held_out, samples)
    after = bench.run(candidate, held_out, samples)
    look = ledger.look(job.task, _sha256(job.prompt), _sha256(candidate))
    return judge(before, after, standard, look=look, seed=job.seed)


def judge(
    before: Sequence[Scored], after: Sequence[Scored], standard: Standard, *, look: int = 1, seed: int = 0
) -> Acceptance:
    """Decide about a candidate from the rollouts of both prompts.

    Args:
        before: Of the active prompt, over the held-out cases.
        after: Of the candidate, over the same.
        standard: What the candidate must reach.
        look: The number of this look at the cases, from 1.
        seed: Of the order in which the cases enter the test.
    """
    old, new = _means(before), _means(after)
    pairs = {case: (new[case], old[case]) for case in sorted(old) if case in new}
    missing = sorted({rollout.case_id for rollout in (*before, *after)} - set(pairs))
    criteria = _criteria(before, after, standard.critical)
    level = look_level(look, standard.confidence)
    acceptance = Acceptance(
        decision=Decision.UNDERPOWERED,
        min_gain=standard.min_gain,
        confidence=standard.confidence,
        look=look,
        level=level,
        cases=[CasePair(case_id=case, before=was, after=now) for case, (now, was) in pairs.items()],
        criteria=criteria,
        missing=missing,
        sentence="underpowered: no held-out case has a score under both prompts",
    )
    if not pairs:
        return acceptance
    gain = math.fsum(now - was for now, was in pairs.values()) / len(pairs)
    outcome = change_test(pairs, standard.min_gain, 1 - level, seed=seed).verdict().outcome
    decision, why = _decide(outcome, gain, standard.min_gain, criteria, missing)
    detectable = _detectable(pairs, standard, level) if decision is Decision.UNDERPOWERED else None
    interval = change_interval(pairs, 1 - level)
    if decision is Decision.UNDERPOWERED and not missing:
        shown = "no gain" if detectable is None else f"a gain of {score_number(detectable)} or more"
        why = f"{why}; with these cases, {shown} would be told from chance in four tries out of five"
    verb = "gained" if gain >= 0 else "lost"
    return acceptance.model_copy(
        update={
            "decision": decision,
            "before": _mean([was for _, was in pairs.values()]),
            "after": _mean([now for now, _ in pairs.values()]),
            "before_interval": mean_interval([was for _, was in pairs.values()], standard.confidence),
            "after_interval": mean_interval([now for now, _ in pairs.values()], standard.confidence),
            "gain": gain,
            "gain_interval": interval,
            "detectable": detectable,
            "sentence": (
                f"{decision}: the candidate {verb} {score_number(abs(gain))} [{score_number(interval.low)}, "
                f"{score_number(interval.high)}] over {len(pairs)} held-out cases, wanted more than "
                f"{score_number(standard.min_gain)} at error {level:.3g} (look {look}): {why}"
            ),
        }
    )


def _decide(
    outcome: Outcome,
    gain: float,
    min_gain: float,
    criteria: Sequence[CriterionPair],
    missing: Collection[str],
) -> tuple[Decision, str]:
    fallen = [criterion.name for criterion in criteria if criterion.fell]
    if fallen:
        return Decision.REJECTED, f"critical criteria fell or could not be compared: {', '.join(fallen)}"
    if outcome is Outcome.FAIL or gain <= min_gain:
        return Decision.REJECTED, "the gain is too small"
    if missing:
        # What broke under the candidate may be what it made worse.
        return Decision.UNDERPOWERED, f"{len(missing)} cases lack a score: {', '.join(sorted(missing)[:3])}"
    if outcome is Outcome.PASS:
        return Decision.ACCEPTED, "the gain is proved"
    return Decision.UNDERPOWERED, "there are too few cases to prove it"


def _criteria(
    before: Sequence[Scored], after: Sequence[Scored], critical: Collection[str]
) -> list[CriterionPair]:
    names = sorted({name for rollout in (*before, *after) for name in rollout.objectives} | set(critical))
    found = []
    for name in names:
        old, new = _means(before, name), _means(after, name)
        both = [case for case in old if case in new]
        was = _mean([old[case] for case in both]) if both else None
        now = _mean([new[case] for case in both]) if both else None
        lost = any(case not in new for case in old)
        fell = name in critical and (was is None or now is None or lost or now < was - TOLERANCE)
        found.append(CriterionPair(name=name, before=was, after=now, critical=name in critical, fell=fell))
    return found


def _detectable(pairs: Pairs, standard: Standard, level: float) -> float | None:
    """Find the smallest gain that the test would find in 80 % of tries, the spread being what it is."""
    draws = {case: [(1 + now - was) / 2] for case, (now, was) in pairs.items()}
    low, high = 0, _STEPS + 1
    while high - low > 1:
        middle = (low + high) // 2
        if _is_told(draws, middle / _STEPS, level):
            high = middle
        else:
            low = middle
    gain = standard.min_gain + high / _STEPS
    return gain if high <= _STEPS and gain < 1 else None


def _is_told(draws: Mapping[str, list[float]], gain: float, level: float) -> bool:
    try:
        need = bar_draws(draws, gain / 2, confidence=1 - level, limit=len(draws))
    except ValueError:
        return True
    return need is not None


def _means(rollouts: Sequence[Scored], objective: str | None = None) -> dict[str, float]:
    """Return the mean of each case; one with a sample that failed has none."""
    values: dict[str, list[float | None]] = {}
    for rollout in rollouts:
        value = rollout.score if objective is None else rollout.objectives.get(objective)
        values.setdefault(rollout.case_id, []).append(value)
    whole = {case: [v for v in found if v is not None] for case, found in values.items()}
    return {case: _mean(found) for case, found in whole.items() if found and len(found) == len(values[case])}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
