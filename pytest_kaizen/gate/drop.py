"""Gates against a baseline: how far the scores fell, case by case."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from ..models import GateResult, GateSpec, Interval, Outcome
from .bars import not_run
from .betting import SequentialTest, Verdict, confidence_interval
from .sentence import TOLERANCE, bar_text, counted, error_text, figure_text, missing_text, score_number

#: Mean now and mean in the baseline, of one case; now is None when the score could not be had.
Pair = tuple[float | None, float]
_NAMED = 3
_DEFAULT_CONFIDENCE = 0.95


def drop_test(spec: GateSpec, pairs: Mapping[str, Pair], *, seed: int = 0) -> SequentialTest:
    """Run the sequential test of a ``max_drop`` gate over all pairs.

    Non-inferiority: the null is that the mean over cases fell by ``max_drop`` or more. A difference
    in [-1, 1] becomes a draw in [0, 1], where a half means no change. Cases are drawn in a random
    order that depends on the seed and their ids alone.
    """
    test = SequentialTest(_bar(spec), spec.confidence or _DEFAULT_CONFIDENCE)
    for now, before in _present(pairs, seed):
        test.update(_draw(now, before))
    return test


def drop_gate(
    spec: GateSpec,
    pairs: Mapping[str, Pair],
    *,
    collected: int,
    ran: int,
    new: Sequence[str] = (),
    removed: Sequence[str] = (),
    missing: Sequence[str] = (),
    case_id: str | None = None,
    seed: int = 0,
    verdict: Verdict | None = None,
    family: int = 1,
) -> GateResult:
    """Decide a gate on the fall of a metric since the baseline, paired by case.

    The figure is the mean over cases of baseline minus now: positive when the scores fell. Its
    interval is the test's own, with or without ``confidence``.

    Args:
        spec: The rule, with ``max_drop``.
        pairs: The cases that stand in both runs.
        collected: Cases of the gate's scope in the whole suite.
        ran: Those that ran to their end; with fewer than ``collected`` nothing is decided.
        new: Cases without a baseline: named, not counted.
        removed: Cases that only the baseline has: likewise.
        missing: Why scores are missing.
        case_id: The case of a case gate.
        seed: Of the order of draws.
        verdict: What ``holm`` decided about ``drop_test``; by default the gate stands alone.
        family: The number of gates whose error the verdict controls together.
    """
    assert spec.max_drop is not None
    if ran < collected or collected == 0:
        return not_run(spec, collected=collected, ran=ran)
    changed = _named("new", new) + _named("removed", removed)
    present = _present(pairs, seed)
    lost = len(pairs) - len(present)
    result = GateResult(
        scope=spec.scope,
        task=spec.task,
        case_id=case_id,
        name=spec.metric,
        bar=bar_text(spec),
        missing=lost,
        outcome=Outcome.NOT_RUN,
        sentence=f"{spec.metric} {bar_text(spec)}: not decided: no case stands in the baseline{changed}",
        origin=spec.origin,
    )
    if not present:
        if not pairs:
            return result
        why = f"nothing was scored{missing_text(lost, missing)}{changed}"
        sentence = f"{spec.metric} {bar_text(spec)}: fail, {why}"
        return result.model_copy(update={"outcome": Outcome.FAIL, "sentence": sentence})

    how = f"over {counted(len(present), 'case')}"
    error = ""
    if spec.confidence is None:
        met = _mean_drop(present) <= spec.max_drop + TOLERANCE
        outcome = Outcome.PASS if met else Outcome.FAIL
        interval = confidence_interval([_draw(*pair) for pair in present], _DEFAULT_CONFIDENCE)
    else:
        verdict = verdict or drop_test(spec, pairs, seed=seed).verdict()
        outcome, interval = verdict.outcome, verdict.interval
        how = f"after {verdict.samples} of {counted(len(present), 'case')}"
        error = error_text(spec.confidence, family)
        present = present[: verdict.samples]
    if lost and outcome is Outcome.PASS:
        outcome = Outcome.UNDECIDED
    figure = _mean_drop(present)
    interval = Interval(1 - 2 * interval.high, 1 - 2 * interval.low)
    sentence = (
        f"{spec.metric} fell by {figure_text(spec, figure, interval)}, {bar_text(spec)}: {outcome} {how}"
        f"{missing_text(lost, missing)}{error}{_fell_most(pairs)}{changed}"
    )
    return result.model_copy(
        update={
            "figure": figure,
            "interval": interval,
            "samples": len(present),
            "outcome": outcome,
            "sentence": sentence,
        }
    )


def _bar(spec: GateSpec) -> float:
    assert spec.max_drop is not None
    return (1 - spec.max_drop) / 2


def _draw(now: float, before: float) -> float:
    return (1 + now - before) / 2


def _present(pairs: Mapping[str, Pair], seed: int) -> list[tuple[float, float]]:
    order = sorted(pairs)
    random.Random(f"{seed}").shuffle(order)
    return [(now, before) for now, before in map(pairs.__getitem__, order) if now is not None]


def _mean_drop(pairs: Sequence[tuple[float, float]]) -> float:
    return sum(before - now for now, before in pairs) / len(pairs)


def _fell_most(pairs: Mapping[str, Pair]) -> str:
    falls = [
        (before - now, case, now, before)
        for case, (now, before) in pairs.items()
        if now is not None and before - now > TOLERANCE
    ]
    falls.sort(key=lambda fall: (-fall[0], fall[1]))
    named = [
        f"{case} ({score_number(before)} to {score_number(now)})" for _, case, now, before in falls[:_NAMED]
    ]
    return f"; fell most: {', '.join(named)}" if named else ""


def _named(what: str, cases: Sequence[str]) -> str:
    if not cases:
        return ""
    rest = f" and {len(cases) - _NAMED} more" if len(cases) > _NAMED else ""
    return f"; {what}: {', '.join(sorted(cases)[:_NAMED])}{rest}"
