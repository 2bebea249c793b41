"""Gates against a baseline: how far the scores fell, case by case."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from ..models import GateResult, GateSpec, Interval, Outcome
from .bars import Values, case_gate, not_run
from .betting import Family, SequentialTest, Verdict, confidence_interval
from .sentence import TOLERANCE, bar_text, counted, error_text, figure_text, missing_text, score_number

#: Mean now and mean in the baseline, of one case; now is None when the score could not be had.
Pair = tuple[float | None, float]
_NAMED = 3
_DEFAULT_CONFIDENCE = 0.95


def drop_test(spec: GateSpec, pairs: Mapping[str, Pair], *, seed: int = 0) -> SequentialTest:
    """Run the sequential test of a ``max_drop`` gate over all pairs.

    Non-inferiority: the null is that the mean over cases fell by ``max_drop`` or more.
    """
    assert spec.max_drop is not None
    return change_test(pairs, -spec.max_drop, spec.confidence or _DEFAULT_CONFIDENCE, seed=seed)


def change_test(
    pairs: Mapping[str, Pair], change: float, confidence: float, *, seed: int = 0
) -> SequentialTest:
    """Run the sequential test of a mean change, paired by case, over all pairs.

    ``pass`` says that the mean over cases of now minus before is above ``change``, ``fail`` that it
    is below. A difference in [-1, 1] becomes a draw in [0, 1], where a half means no change. Cases
    are drawn in a random order that depends on the seed and their ids alone.

    Args:
        pairs: The cases.
        change: In [-1, 1].
        confidence: In (0, 1).
        seed: Of the order of draws.
    """
    test = SequentialTest((1 + change) / 2, confidence)
    for now, before in _present(pairs, seed):
        test.update(_draw(now, before))
    return test


def change_interval(pairs: Mapping[str, Pair], confidence: float) -> Interval:
    """Give the anytime-valid interval of a mean change, in [-1, 1]."""
    low, high = confidence_interval([_draw(*pair) for pair in _present(pairs, 0)], confidence)
    return Interval(2 * low - 1, 2 * high - 1)


def case_rule(spec: GateSpec, before: float) -> GateSpec:
    """Turn a ``max_drop`` rule on one case into the bar that its own samples must reach.

    One pair proves nothing, so the baseline's mean of the case is taken as it is and the samples
    are tested against it. A fall that is impossible (``before <= max_drop``) needs no test.

    Args:
        spec: The rule, with ``max_drop``.
        before: The case's mean in the baseline.
    """
    assert spec.max_drop is not None
    bar = before - spec.max_drop
    confidence = spec.confidence if bar > 0 else None
    return spec.model_copy(update={"min": max(bar, 0.0), "max_drop": None, "confidence": confidence})


def case_drop_gate(
    spec: GateSpec,
    values: Values,
    before: float,
    *,
    case_id: str,
    missing: Sequence[str] = (),
    planned: int | None = None,
    verdict: Verdict | None = None,
    family: Family | None = None,
) -> GateResult:
    """Decide a ``max_drop`` gate on one case: its samples against its mean in the baseline.

    The figure is the fall, as in ``drop_gate``; the other arguments are those of ``case_gate``.

    Args:
        spec: The rule, with ``max_drop``.
        values: The metric of each sample.
        before: The case's mean in the baseline.
        case_id: pytest's node id.
        missing: Why values are missing.
        planned: Samples that could have been drawn.
        verdict: What its family decided about the test of ``case_rule``.
        family: The gates whose errors the verdict controls together.
    """
    rule = case_rule(spec, before)
    result = case_gate(
        rule, values, case_id=case_id, missing=missing, planned=planned, verdict=verdict, family=family
    )
    verdict_text = result.sentence.partition(f" {bar_text(rule)}: ")[2]
    update: dict[str, object] = {"bar": bar_text(spec)}
    if result.figure is None:
        update["sentence"] = f"{spec.metric} {bar_text(spec)}: {verdict_text}"
    else:
        fall = before - result.figure
        interval = result.interval and Interval(before - result.interval.high, before - result.interval.low)
        update |= {"figure": fall, "interval": interval}
        fell = f"{spec.metric} fell by {figure_text(spec, fall, interval)} from {score_number(before)}"
        update["sentence"] = f"{fell}, {bar_text(spec)}: {verdict_text}"
    return result.model_copy(update=update)


def without_baseline(
    spec: GateSpec, why: str, *, outcome: Outcome = Outcome.UNDECIDED, case_id: str | None = None
) -> GateResult:
    """Report a ``max_drop`` gate that has nothing to compare with.

    It is undecided, which fails by default: a gate that quietly decided nothing would let every
    fall through as soon as the baseline got lost.

    Args:
        spec: The rule, with ``max_drop``.
        why: What is missing, and the cure.
        outcome: ``NOT_RUN`` where there can be no baseline yet.
        case_id: The case of a case gate.
    """
    said = "not decided" if outcome is Outcome.NOT_RUN else outcome.value
    return GateResult(
        scope=spec.scope,
        task=spec.task,
        case_id=case_id,
        name=spec.metric,
        bar=bar_text(spec),
        outcome=outcome,
        sentence=f"{spec.metric} {bar_text(spec)}: {said}: {why}",
        origin=spec.origin,
    )


def drop_gate(
    spec: GateSpec,
    pairs: Mapping[str, Pair],
    *,
    collected: int,
    ran: int,
    new: Sequence[str] = (),
    removed: Sequence[str] = (),
    missing: Sequence[str] = (),
    seed: int = 0,
    verdict: Verdict | None = None,
    family: Family | None = None,
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
        seed: Of the order of draws.
        verdict: What its family decided about ``drop_test``; by default the gate stands alone.
        family: The gates whose errors the verdict controls together.
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
        name=spec.metric,
        bar=bar_text(spec),
        missing=lost,
        outcome=Outcome.FAIL,
        sentence="",
        origin=spec.origin,
    )
    if not pairs:
        return without_baseline(spec, f"no case stands in the baseline{changed}")
    if not present:
        why = f"nothing was scored{missing_text(lost, missing)}{changed}"
        sentence = f"{spec.metric} {bar_text(spec)}: fail, {why}"
        return result.model_copy(update={"sentence": sentence})

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
