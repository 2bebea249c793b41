"""Samples → verdicts on cases, tallies → verdicts on tasks, and for which tasks a better prompt is wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..gate import (
    Family,
    SequentialTest,
    Verdict,
    case_gate,
    gate_draw,
    gate_test,
    is_decided,
    prompt_gate,
    task_test,
    verdict_of,
)
from ..models import CIContext, GateResult, GateSpec, Outcome, Run, Sample, TaskSummary
from ..prompts import PromptLibrary
from ..report.text import safe_text
from .baseline import Baselines
from .plan import NO_TASK, CasePlan, Collected
from .tally import TaskTally, why_missing

#: What the branches begin with that proposals are put on.
OWN_BRANCHES = "kaizen/optimize/"


class Sampling:
    """Says whether a case needs another sample; for one attempt at it.

    A case has at least ``plan.samples``. Drawing goes on until every gate that states a confidence
    has its verdict, or there are ``plan.max_samples``. Samples enter a test in the order of their
    numbers, whatever order they end in, so that quick ones do not decide.

    Args:
        plan: The case.
        baselines: What a ``max_drop`` gate compares with.
        family: The gates of the session, if their errors are to hold over all of them.
    """

    def __init__(self, plan: CasePlan, baselines: Baselines, family: Family | None = None) -> None:
        self.plan = plan
        self.family = family
        self._lock = threading.Lock()
        self._tests: dict[GateSpec, tuple[GateSpec, SequentialTest]] = {}
        for spec in plan.gates:
            rule = spec if spec.max_drop is None else baselines.case_rule(spec, plan.case_id)
            if rule is not None and rule.confidence is not None:
                self._tests[spec] = (rule, gate_test(rule))
        if family is not None:
            family.enter(plan.case_id, *(test for _, test in self._tests.values()))
        self._waiting: dict[int, Sample] = {}
        self._entered = 0

    def wants(self, begun: int) -> bool:
        """Whether another sample is to begin when so many have."""
        if begun < self.plan.samples:
            return True
        if begun >= self.plan.max_samples:
            return False
        with self._lock:
            return not all(is_decided(test, self.family) for _, test in self._tests.values())

    def add(self, number: int, sample: Sample) -> None:
        """Take in a finished sample; its number counts from 0."""
        with self._lock:
            self._waiting[number] = sample
            while (following := self._waiting.pop(self._entered, None)) is not None:
                self._entered += 1
                for rule, test in self._tests.values():
                    value = following.metrics.get(rule.metric)
                    # What comes after a verdict is no part of it, so its interval is as narrow as it says.
                    if value is not None and not is_decided(test, self.family):
                        test.update(gate_draw(rule, value))

    def verdict(self, spec: GateSpec) -> Verdict | None:
        """Give the verdict on one of the case's gates; None for one without a sequential test."""
        if spec not in self._tests:
            return None
        _, test = self._tests[spec]
        return verdict_of(test, self.family)


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


def task_verdicts(
    specs: Sequence[GateSpec],
    tallies: Mapping[str, TaskTally],
    collected: Collected,
    baselines: Baselines,
    family: Family | None,
) -> dict[str, list[GateResult]]:
    """Decide the gates on whole tasks.

    Args:
        specs: The gates; those of a task that has no tally are left out.
        tallies: The figures of the cases that ran to their end, by task.
        collected: What there was to run.
        baselines: What ``max_drop`` gates compare with.
        family: The gates of the session, if their errors are to hold over all of them.

    Returns:
        The results by task, in the order of the gates.
    """
    specs = [spec for spec in specs if spec.task in tallies]
    tests = _tests(specs, tallies, collected, baselines) if family else {}
    for task in {spec.task for spec in tests}:
        assert family is not None
        family.enter(f"task {task}", *(test for spec, test in tests.items() if spec.task == task))
    results: dict[str, list[GateResult]] = {}
    for spec in specs:
        tally = tallies[spec.task]
        count = collected.cases.get(spec.task, 0)
        verdict = family.verdict(tests[spec]) if family and spec in tests else None
        if spec.max_drop is None:
            result = tally.gate(spec, count, verdict=verdict, family=family)
        else:
            result = baselines.task_gate(spec, tally, count, verdict=verdict, family=family)
        results.setdefault(spec.task, []).append(_within(result, collected.beyond.get(spec.task)))
    return results


def _tests(
    specs: Sequence[GateSpec],
    tallies: Mapping[str, TaskTally],
    collected: Collected,
    baselines: Baselines,
) -> dict[GateSpec, SequentialTest]:
    """Run the sequential tests of the gates whose tasks ran as a whole."""
    tests = {}
    for spec in specs:
        tally = tallies[spec.task]
        ran_whole = (
            len(tally.cases) >= collected.cases.get(spec.task, 0) and spec.task not in collected.beyond
        )
        if spec.confidence is not None and ran_whole and tally.cases:
            tests[spec] = (
                task_test(spec, tally.values(spec.metric))
                if spec.max_drop is None
                else baselines.task_test(spec, tally)
            )
    return tests


def _within(result: GateResult, beyond: str | None) -> GateResult:
    """Take a verdict back that is on a part of the task's cases only."""
    if beyond is None or result.outcome is Outcome.NOT_RUN:
        return result
    sentence = f"{result.name}: not decided: {beyond}"
    return result.model_copy(update={"outcome": Outcome.NOT_RUN, "sentence": sentence})


def weak_tasks(run: Run, fails: Callable[[GateResult], bool]) -> list[str]:
    """Return the tasks that ran as a whole and of which a gate failed."""
    return [summary.task for summary in run.tasks if _is_weak(summary, fails)]


def why_no_search(ci: CIContext | None) -> str | None:
    """Say why nobody may search for a better prompt here; None when they may."""
    if ci is None:
        return "it is not known where this runs"
    if ci.pull_request is not None and ci.fork is not False:
        return "this pull request may come from a fork"
    if ci.branch is not None and ci.branch.startswith(OWN_BRANCHES):
        return f"the branch {ci.branch} is a proposal itself"
    return None


def _is_weak(summary: TaskSummary, fails: Callable[[GateResult], bool]) -> bool:
    failed = any(fails(result) for result in summary.gates) or Outcome.FAIL in summary.case_gates
    return failed and summary.partial is None and summary.task != NO_TASK
