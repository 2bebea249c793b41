"""Gates on the mean of a metric, or on the share of samples within a bar: of a case and of a task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

from ..models import BUDGET_METRICS, GateResult, GateSpec, Interval, Outcome
from .betting import Family, SequentialTest, Verdict
from .draws import TaskDraws
from .sentence import TOLERANCE, bar_text, counted, error_text, figure_text, first_reason, missing_text

Values = Sequence[float | None]


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Give an interval for the mean of independent scores in [0, 1], None without scores.

    Wilson's score interval (Wilson 1927): all means ``m`` whose distance from the observed mean is
    at most ``z`` standard errors. No variable in [0, 1] with mean ``m`` has a variance above
    ``m * (1 - m)``, so what is exact for pass/fail scores is wider than need be for others. It has a
    width at means of 0 and 1 and for a single score. It is for a number of scores fixed beforehand.

    Args:
        values: Scores in [0, 1].
        confidence: In (0, 1).
    """
    n = len(values)
    if n == 0:
        return None
    mean = sum(values) / n
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = z * z / n
    centre = (mean + share / 2) / (1 + share)
    half = z / (1 + share) * math.sqrt(max(mean * (1 - mean), 0.0) / n + share / (4 * n))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


class _Finding(NamedTuple):
    """What the samples show, before it is put into words."""

    figure: float
    interval: Interval | None
    outcome: Outcome
    samples: int
    missing: int


def gate_test(spec: GateSpec) -> SequentialTest:
    """Make the sequential test of a gate; feed it with ``gate_draw``.

    Raises:
        ValueError: The gate has no ``confidence``, or compares with a baseline.
    """
    if spec.confidence is None or spec.max_drop is not None:
        raise ValueError(f"'{spec.metric} {bar_text(spec)}' is not decided by a test on its own samples")
    return SequentialTest(_test_bar(spec), spec.confidence)


def gate_draw(spec: GateSpec, value: float) -> float:
    """Turn a sample's value into a draw in [0, 1] for which more is better.

    With ``share``: 1 within the bar, else 0. A score with ``max`` is mirrored.
    """
    if spec.share is not None:
        return float(_is_within(spec, value))
    return value if spec.min is not None else 1 - value


def case_gate(
    spec: GateSpec,
    values: Values,
    *,
    case_id: str,
    missing: Sequence[str] = (),
    planned: int | None = None,
    verdict: Verdict | None = None,
    family: Family | None = None,
) -> GateResult:
    """Decide a gate on one case.

    Args:
        spec: The rule, with ``min`` or ``max``.
        values: The metric of each sample, in the order of the samples; None where it could not be
            had, which leaves the gate undecided at best.
        case_id: pytest's node id.
        missing: Why values are missing.
        planned: Samples that could have been drawn; as many as there are values by default.
        verdict: What its family decided about this gate's test; by default the gate stands alone.
        family: The gates whose errors the verdict controls together.
    """
    present = [value for value in values if value is not None]
    if not present:
        return _nothing(spec, case_id, len(values), missing)
    if spec.confidence is None:
        finding = _mean_finding(spec, [present], len(values) - len(present))
    else:
        finding = _sequential_finding(spec, values, verdict)
    return _result(spec, case_id, finding, missing, planned or len(values), family)


def task_gate(
    spec: GateSpec,
    cases: Mapping[str, Values],
    *,
    collected: int,
    ran: int,
    missing: Sequence[str] = (),
    seed: int = 0,
    planned: int | None = None,
    verdict: Verdict | None = None,
    family: Family | None = None,
) -> GateResult:
    """Decide a gate on all the cases of a task.

    The figure is the mean over cases of each case's own mean, so that a case with more samples
    weighs no more. A sequential test takes the samples in the order of ``TaskDraws``.

    Args:
        spec: The rule, with ``min`` or ``max``.
        cases: The values of each case's samples, as in ``case_gate``. A case without a sample that
            a sequential test did not need is not missing; without ``confidence`` it is.
        collected: Cases of the task in the whole suite.
        ran: Those that ran to their end; with fewer than ``collected`` nothing is decided.
        missing: Why values are missing.
        seed: Of the order of draws.
        planned: Samples that could have been drawn; as many as there are values by default.
        verdict: What its family decided about this gate's test; by default the gate stands alone.
        family: The gates whose errors the verdict controls together.
    """
    if ran < collected or collected == 0:
        return not_run(spec, collected=collected, ran=ran)
    total = sum(len(values) for values in cases.values())
    strata = [[v for v in values if v is not None] for values in cases.values()]
    if not any(strata):
        return _nothing(spec, None, total, missing)
    if spec.confidence is None:
        lost = total - sum(map(len, strata)) + sum(not values for values in cases.values())
        finding = _mean_finding(spec, [stratum for stratum in strata if stratum], lost)
    else:
        draws = _in_order(cases, seed)
        if all(value is None for value in draws):
            return _nothing(spec, None, len(draws), missing)
        finding = _sequential_finding(spec, draws, verdict)
    return _result(spec, None, finding, missing, planned or total, family)


def task_test(spec: GateSpec, cases: Mapping[str, Values], *, seed: int = 0) -> SequentialTest:
    """Run the sequential test of a gate on a task over all draws, in the order of ``TaskDraws``."""
    test = gate_test(spec)
    for value in _in_order(cases, seed):
        if value is not None:
            test.update(gate_draw(spec, value))
    return test


def not_run(spec: GateSpec, *, collected: int, ran: int) -> GateResult:
    """Report a task gate that decides nothing because not every case ran."""
    what = f"{ran} of {counted(collected, 'case')} ran" if collected else "no case was collected"
    return GateResult(
        scope=spec.scope,
        task=spec.task,
        name=spec.metric,
        bar=bar_text(spec),
        outcome=Outcome.NOT_RUN,
        sentence=f"{spec.metric} {bar_text(spec)}: not decided: {what}",
        origin=spec.origin,
    )


def _test_bar(spec: GateSpec) -> float:
    if spec.share is not None:
        return spec.share
    if spec.min is not None:
        return spec.min
    assert spec.max is not None
    return 1 - spec.max


def _is_within(spec: GateSpec, value: float) -> bool:
    if spec.min is not None:
        return value >= spec.min - TOLERANCE
    assert spec.max is not None
    return value <= spec.max + TOLERANCE


def _in_order(cases: Mapping[str, Values], seed: int) -> list[float | None]:
    draws = TaskDraws(cases, seed=seed)
    ordered: list[float | None] = []
    for case, values in cases.items():
        for sample, value in enumerate(values):
            ordered += draws.add(case, sample, value)
    return ordered


def _mean_finding(spec: GateSpec, strata: Sequence[Sequence[float]], missing: int) -> _Finding:
    shown = [[_shown(spec, value) for value in values] for values in strata]
    means = [sum(values) / len(values) for values in shown]
    figure = sum(means) / len(means)
    bounded = spec.share is not None or spec.metric not in BUDGET_METRICS
    interval = mean_interval(shown[0] if len(shown) == 1 else means) if bounded else None
    met = figure >= spec.share - TOLERANCE if spec.share is not None else _is_within(spec, figure)
    outcome = Outcome.FAIL if not met else Outcome.UNDECIDED if missing else Outcome.PASS
    return _Finding(figure, interval, outcome, sum(map(len, strata)), missing)


def _sequential_finding(spec: GateSpec, values: Iterable[float | None], verdict: Verdict | None) -> _Finding:
    """Run the gate's test over the values up to its verdict; what comes after it is not looked at."""
    test = gate_test(spec)
    shown: list[float] = []
    missing = 0
    for value in values:
        if len(shown) == verdict.samples if verdict else test.outcome is not None:
            break
        if value is None:
            missing += 1
            continue
        shown.append(_shown(spec, value))
        if verdict is None:
            test.update(gate_draw(spec, value))
    verdict = verdict or test.verdict()
    interval = verdict.interval
    if spec.share is None and spec.max is not None:
        interval = Interval(1 - interval.high, 1 - interval.low)
    # What is missing may have been what fails, so it can't count towards a pass.
    outcome = Outcome.UNDECIDED if missing and verdict.outcome is Outcome.PASS else verdict.outcome
    return _Finding(sum(shown) / len(shown), interval, outcome, len(shown), missing)


def _shown(spec: GateSpec, value: float) -> float:
    return float(_is_within(spec, value)) if spec.share is not None else value


def _result(
    spec: GateSpec,
    case_id: str | None,
    finding: _Finding,
    missing: Sequence[str],
    planned: int,
    family: Family | None,
) -> GateResult:
    how = f"over {counted(finding.samples, 'sample')}"
    error = ""
    if spec.confidence is not None:
        how = f"after {finding.samples} of {counted(planned, 'sample')}"
        error = error_text(spec.confidence, family)
    return GateResult(
        scope=spec.scope,
        task=spec.task,
        case_id=case_id,
        name=spec.metric,
        figure=finding.figure,
        bar=bar_text(spec),
        interval=finding.interval,
        samples=finding.samples,
        missing=finding.missing,
        outcome=finding.outcome,
        sentence=(
            f"{spec.metric} {figure_text(spec, finding.figure, finding.interval)} {bar_text(spec)}: "
            f"{finding.outcome} {how}{missing_text(finding.missing, missing)}{error}"
        ),
        origin=spec.origin,
    )


def _nothing(spec: GateSpec, case_id: str | None, samples: int, missing: Sequence[str]) -> GateResult:
    if spec.metric not in BUDGET_METRICS:
        what = "nothing was scored"
    else:
        # Something was captured when there is a reason why it has no value, as a price unknown.
        what = "no value was had" if missing else "nothing was captured"
    where = f" in {counted(samples, 'sample')}" if samples else ""
    return GateResult(
        scope=spec.scope,
        task=spec.task,
        case_id=case_id,
        name=spec.metric,
        bar=bar_text(spec),
        missing=samples,
        outcome=Outcome.FAIL,
        sentence=f"{spec.metric} {bar_text(spec)}: fail, {what}{where}{first_reason(missing)}",
        origin=spec.origin,
    )
