"""How many samples a case needs, and what its gates say by sequential tests."""

from __future__ import annotations

import threading

from ..gate import Family, SequentialTest, Verdict, gate_draw, gate_test, is_decided, verdict_of
from ..models import GateSpec, Sample
from .baseline import Baselines
from .plan import CasePlan


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
