"""Samples → verdicts on a case: its gates, its prompt rules, and what nothing was asked about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..gate import case_gate, prompt_gate
from ..models import GateResult, GateSpec, Sample
from ..prompts import PromptLibrary
from ..report.text import safe_text
from .baseline import Baselines
from .metrics import why_missing
from .plan import NO_TASK, CasePlan
from .sampling import Sampling


def case_verdicts(
    sampling: Sampling, samples: Sequence[Sample], library: PromptLibrary, baselines: Baselines
) -> list[GateResult]:
    """Decide every gate of a case from its samples.

    Args:
        sampling: How the case was sampled, with the verdicts of its sequential tests.
        samples: In the order of their numbers.
        library: The prompts.
        baselines: What ``max_drop`` gates compare with.
    """
    plan = sampling.plan
    results = [_gate(spec, sampling, samples, baselines) for spec in plan.gates]
    for rule in plan.prompt_rules:
        used = [sample.prompts[rule.task] for sample in samples if rule.task in sample.prompts]
        results.append(
            prompt_gate(
                rule.requirement,
                task=rule.task,
                case_id=plan.case_id,
                used=used,
                active=library.active(rule.task),
                locked=library.locked(rule.task),
                origin=rule.origin,
            )
        )
    return results


def _gate(spec: GateSpec, sampling: Sampling, samples: Sequence[Sample], baselines: Baselines) -> GateResult:
    values = [sample.metrics.get(spec.metric) for sample in samples]
    missing = [why_missing(spec.metric, sample) for sample in samples if spec.metric not in sample.metrics]
    decide = partial(case_gate, spec) if spec.max_drop is None else partial(baselines.case_gate, spec)
    return decide(
        values,
        case_id=sampling.plan.case_id,
        missing=missing,
        planned=sampling.plan.max_samples,
        verdict=sampling.verdict(spec),
        family=sampling.family,
    )


def failure_text(plan: CasePlan, samples: Sequence[Sample], failed: Sequence[GateResult]) -> str:
    """Say why a case failed.

    Each gate's sentence, the lowest criterion with its reason, rubrics that had nothing to score, and
    the checks that did not hold.
    """
    lines = [result.sentence for result in failed]
    for result in failed:
        lowest = _lowest(result.name, samples)
        if lowest is not None:
            lines.append(lowest)
    failed_checks = _failed_checks(samples)
    gated = {result.name for result in failed}
    lines += [
        f"rubric {score.name}: {score.error}"
        for sample in samples
        for score in sample.trace.scores
        if sample.trace.output is None and score.error and score.rubric == score.name not in gated
    ]
    task = [] if plan.task == NO_TASK else [f"(task {plan.task})"]
    # Two gates on one rubric have the same lowest criterion. Reasons are a model's words.
    return safe_text("\n".join(dict.fromkeys([*lines, *failed_checks, *task])))


def _failed_checks(samples: Sequence[Sample]) -> list[str]:
    """Name the checks that did not hold, with the first reason and, of several samples, in how many."""
    failed_in: dict[str, set[int]] = {}
    reasons: dict[str, str] = {}
    for number, sample in enumerate(samples):
        for score in sample.trace.scores:
            if score.value == 0 and score.rubric is None and score.source == "check":
                failed_in.setdefault(score.name, set()).add(number)
                reasons.setdefault(score.name, f": {score.reason}" if score.reason else "")
    return [
        f"check '{name}' failed"
        + (f" in {len(failed)} of {len(samples)} samples" if len(samples) > 1 else "")
        + reasons[name]
        for name, failed in failed_in.items()
    ]


def _lowest(metric: str, samples: Sequence[Sample]) -> str | None:
    """Find the criterion that pulled a rubric's figure down most."""
    scores = [
        score
        for sample in samples
        for score in sample.trace.scores
        if score.value is not None
        and score.is_criterion
        and (metric == "score" or metric in (score.rubric, score.name))
    ]
    if not scores:
        return None
    worst = min(scores, key=lambda score: score.value or 0.0)
    reason = f": {' '.join(worst.reason.split())}" if worst.reason else ""
    return f"lowest criterion: {worst.name} {worst.value:.2f}{worst.votes_text}{reason}"
