"""The built-in engine: lessons from failures, tried as small edits of the prompt.

After ACE (Zhang and others, *Agentic Context Engineering*, 2025): a reflector draws atomic lessons
from failures, a curator merges them, and the prompt changes rule by rule, never as a whole. What it
takes to keep a rule is ours, made for few and noisy rollouts:

- A lesson is tried on the very cases it was drawn from, and judged by the criterion it is about: one
  rollout tries all lessons of a case.
- A rule in the prompt is tried again, with and without it, more often as the search goes on: the
  first failures were partly bad luck, and so are some first successes.
- A regression over all rollouts finds rules that do harm elsewhere; the most suspect one is left out
  of an extra pass over the batch.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from ..errors import BudgetExceeded, LLMError
from ..models import Insight, InsightStatus, Scored
from .budget import Ledger, Meter
from .search import Candidate, Evaluator, OnEvent, ReflectionRequest, Reflector, SearchJob, TaskCase
from .skillbook import Edit, Observation, Skillbook, apply_edits, bare_lines, has_line, line_effects
from .workbench import MAX_ERRORS, Estimate, Workbench, failures_in, mean_score

#: Cases of the first round, and of each later one.
_FIRST, _BATCH = 12, 6
#: Tests of each rule in the prompt: after the first epoch, for each further one, and at most.
_TESTS, _PER_EPOCH, _MOST_TESTS = 2, 2, 8
#: A rule about one thing among several moves the whole score by less.
_WHOLE = 2.0
#: Rollouts from which the regression has something to go by, and the effect below which a rule goes.
_ENOUGH, _HARM = 60, -0.03


class InsightsEngine:
    """Searches with lessons; needs nothing but the package."""

    def estimate(self, job: SearchJob, rollouts: int | None) -> Estimate:
        """Say what a search will use: from one pass over its cases to all its epochs."""
        cases = len(job.search)
        fewest, most = 2 * cases, 4 * cases * job.epochs
        if rollouts is not None:
            fewest, most = min(fewest, rollouts), min(most, rollouts)
        # Each rollout of the prompt itself, a third of them all, may be a failure to reflect on; a
        # judge then merges what came of it.
        return Estimate((fewest, most), (2 * (fewest // 3) // job.chunk, 2 * (most // 3) // job.chunk + 2))

    def run(
        self,
        job: SearchJob,
        evaluate: Evaluator,
        reflect: Reflector,
        ledger: Ledger,
        budget: Meter,
        on_event: OnEvent,
    ) -> list[Candidate]:
        """Search until the budget or the job's epochs are used up; see ``Engine.run``."""
        return _Search(Workbench(job, evaluate, reflect, ledger, budget, on_event)).run()


class _Search:
    """The state of one search: the prompt, and the rules that it added by their text."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._job = bench.job
        self._book = Skillbook(bench, bench.job.insights)
        self._cases = {case.id: case for case in bench.job.search}
        self._observations: list[Observation] = []
        self._seen: set[tuple[str, str, int]] = set()
        self._force: dict[str, str] = {}
        # The active prompt's own lines that rules replaced: they come back when the rule goes.
        self._replaced: dict[str, str] = {}
        self._prompt = bench.job.prompt
        self._errors = 0
        self._round = 0

    def run(self) -> list[Candidate]:
        try:
            self._add([i for i in self._job.insights if i.status is InsightStatus.ACCEPTED], {})
            for epoch in range(self._job.epochs):
                if not self._epoch(epoch):
                    break
        except BudgetExceeded as exc:
            self._bench.say(f"stopped: {exc}")
        self._prune()
        if self._prompt == self._job.prompt:
            return []
        return [Candidate(self._prompt, tuple(map(self._book.__getitem__, self._force.values())))]

    def _epoch(self, epoch: int) -> bool:
        """Pass over the cases once; return whether anything failed."""
        order = list(self._job.search)
        # A string seeds alike in every process.
        random.Random(f"{self._job.seed}:{epoch}").shuffle(order)
        failed = False
        while order:
            size = _FIRST if epoch == self._round == 0 else _BATCH
            batch, order = order[:size], order[size:]
            failed = self._learn(batch) or failed
            if self._bench.meter.used.rollouts > _ENOUGH:
                self._audit(batch)
            self._retest(min(_TESTS + _PER_EPOCH * epoch, _MOST_TESTS))
            self._round += 1
        return failed

    def _learn(self, batch: Sequence[TaskCase]) -> bool:
        """Draw lessons from a batch's failures and keep those that help; return whether any failed."""
        before = self._run(self._prompt, batch)
        self._bench.best = mean_score(before)
        self._bench.say(f"round {self._round + 1}: {len(self._force)} rules")
        new: dict[str, Insight] = {}
        clashes: dict[str, list[str]] = {}
        failures = failures_in(before, batch)
        for start in range(0, len(failures), self._job.chunk):
            request = ReflectionRequest(
                task=self._job.task,
                prompt=self._prompt,
                failures=tuple(failures[start : start + self._job.chunk]),
                rejected=self._book.rejected,
                mode=self._job.mode,
                attempt=self._round,
            )
            found, against = self._reflect(request)
            new |= {insight.id: insight for insight in found if not has_line(self._prompt, insight.text)}
            clashes |= against
        self._try(new, clashes, {rollout.case_id: rollout for rollout in before})
        self._add(
            [self._book[insight] for insight in new if self._is_better(insight, clashes)],
            clashes,
        )
        return bool(failures)

    def _reflect(self, request: ReflectionRequest) -> tuple[list[Insight], dict[str, list[str]]]:
        """Ask for lessons; a failure now and then costs its chunk, not the search."""
        try:
            lessons = self._bench.reflect(request).lessons
            merged = self._book.merge(lessons, request.failures)
        except BudgetExceeded:
            raise
        except LLMError as exc:
            self._errors += 1
            self._bench.say(f"reflection failed: {exc}")
            if self._errors >= MAX_ERRORS:
                raise
            return [], {}
        self._errors = 0
        return merged

    def _try(self, new: dict[str, Insight], clashes: dict[str, list[str]], before: dict[str, Scored]) -> None:
        """Run each failed case with the lessons that were drawn from it."""
        for case_id, rollout in before.items():
            mine = [insight for insight in new.values() if case_id in self._book.cases[insight.id]]
            if mine:
                edited = apply_edits(self._prompt, self._edits(mine, clashes))
                [after] = self._run(edited, [self._cases[case_id]])
                self._compare(mine, rollout, after)

    def _compare(self, insights: Sequence[Insight], without: Scored, having: Scored) -> None:
        for insight in insights:
            difference = _difference(without, having, insight.criterion or "")
            if difference is not None:
                self._book.test(insight.id, difference)

    def _is_better(self, insight: str, clashes: dict[str, list[str]]) -> bool:
        """Whether an insight is worth its line, and more so than the rules that it would replace."""
        rivals = [self._force[text] for text in clashes.get(insight, ()) if text in self._force]
        return self._book.balance(insight) > max([0.0, *map(self._book.balance, rivals)])

    def _retest(self, wanted: int) -> None:
        """Run cases with and without the rules drawn from them, until each rule has its tests."""
        tried: set[str] = set()
        while True:
            due: dict[tuple[str, int], list[Insight]] = {}
            for insight in map(self._book.__getitem__, self._force.values()):
                number = self._book.tests(insight.id)
                cases = self._book.cases.get(insight.id)
                if cases and number < wanted and f"{insight.id}:{number}" not in tried:
                    tried.add(f"{insight.id}:{number}")
                    due.setdefault((cases[number % len(cases)], number), []).append(insight)
            if not due:
                return
            for (case_id, number), mine in due.items():
                case = [self._cases[case_id]]
                without = self._without([insight.text for insight in mine])
                [having] = self._run(self._prompt, case, number)
                [lacking] = self._run(without, case, number)
                self._compare(mine, lacking, having)
                self._drop([insight.text for insight in mine if self._book.balance(insight.id) <= 0])

    def _audit(self, batch: Sequence[TaskCase]) -> None:
        """Run a batch without the rule that looks most harmful, and drop what does harm."""
        if self._force:
            effects = self._effects()
            suspect = min(effects, key=lambda text: effects[text])
            self._run(self._prompt, batch)
            self._run(self._without([suspect]), batch)
            self._prune()

    def _prune(self) -> None:
        harmful = [text for text, effect in self._effects().items() if effect < _HARM]
        for text in harmful:
            self._book.test(self._force[text], -1.0)
        self._drop(harmful)

    def _effects(self) -> dict[str, float]:
        return line_effects(self._observations, list(self._force))

    def _run(self, prompt: str, cases: Sequence[TaskCase], sample: int = 0) -> list[Scored]:
        rollouts = self._bench.run(prompt, cases, (sample,))
        lines = bare_lines(prompt)
        for rollout in rollouts:
            seen = (prompt, rollout.case_id, sample)
            if rollout.score is not None and seen not in self._seen:
                self._seen.add(seen)
                self._observations.append(Observation(lines, rollout.case_id, rollout.score))
        return rollouts

    def _add(self, insights: Sequence[Insight], clashes: dict[str, list[str]]) -> None:
        for insight in insights:
            lines = self._clashing(insight, clashes)
            edited = apply_edits(self._prompt, self._edits([insight], clashes))
            # An edit that would touch the prompt's variables changes nothing.
            if edited != self._prompt:
                self._prompt = edited
                if lines:
                    own = self._replaced.pop(lines[0], lines[0])
                    if own not in self._force:
                        self._replaced[insight.text] = own
                for text in lines:
                    self._force.pop(text, None)
                self._force[insight.text] = insight.id

    def _drop(self, texts: Sequence[str]) -> None:
        self._prompt = self._without(texts)
        for text in texts:
            self._force.pop(text)
            self._replaced.pop(text, None)

    def _without(self, texts: Sequence[str]) -> str:
        """Return the prompt as it would be had these rules never come."""
        edits = [
            Edit("change", self._replaced[text], text)
            if text in self._replaced
            else Edit("drop", target=text)
            for text in texts
        ]
        return apply_edits(self._prompt, edits)

    def _edits(self, insights: Sequence[Insight], clashes: dict[str, list[str]]) -> list[Edit]:
        """Write rules as edits: one that contradicts a line of the prompt takes its place."""
        edits = []
        for insight in insights:
            lines = self._clashing(insight, clashes)
            edits.append(Edit("change", insight.text, lines[0]) if lines else Edit("add", insight.text))
            edits += [Edit("drop", target=text) for text in lines[1:]]
        return edits

    def _clashing(self, insight: Insight, clashes: dict[str, list[str]]) -> list[str]:
        """The lines that a rule replaces: our own rules, and at most one line of the active prompt."""
        lines = [text for text in clashes.get(insight.id, ()) if has_line(self._prompt, text)]
        own = [text for text in lines if text not in self._force]
        return own[:1] + [text for text in dict.fromkeys(lines) if text in self._force]


def _difference(without: Scored, having: Scored, criterion: str) -> float | None:
    """What a rollout gained: on the criterion, else, scaled, on the whole; None when one failed."""
    if without.score is None or having.score is None:
        return None
    if criterion in without.objectives and criterion in having.objectives:
        return having.objectives[criterion] - without.objectives[criterion]
    return max(-1.0, min(1.0, _WHOLE * (having.score - without.score)))
