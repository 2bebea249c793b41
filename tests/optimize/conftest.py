from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from pytest_kaizen.models import Feedback, Scored
from pytest_kaizen.optimize import (
    Event,
    Lesson,
    Lessons,
    MemoryLedger,
    Meter,
    ReflectionRequest,
    RelateRequest,
    Relations,
    Rewrite,
    RewriteRequest,
    SearchJob,
    TaskCase,
)
from pytest_kaizen.optimize.workbench import Workbench

WORLD = Path(__file__).parents[1] / "bench" / "optimize_world.py"


@pytest.fixture(scope="session")
def simulation() -> ModuleType:
    """The simulated world of the bench."""
    spec = importlib.util.spec_from_file_location("kaizen_optimize_world", WORLD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass
class FakeEvaluator:
    """Scores what ``score`` says about prompt, case and sample; remembers what it was asked."""

    score: Callable[[str, str, int], float | None] = lambda *_: 0.5
    cost_usd: float | None = 0.01
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    die_after: int | None = None

    def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> Iterable[Scored]:
        # The last first: no order of arrival may matter.
        for case_id in reversed(cases):
            for sample in samples:
                if self.die_after is not None and len(self.asked) >= self.die_after:
                    raise KeyboardInterrupt
                self.asked.append((prompt, case_id, sample))
                value = self.score(prompt, case_id, sample)
                yield Scored(
                    case_id=case_id,
                    sample=sample,
                    score=value,
                    error="broke" if value is None else None,
                    feedback=(Feedback(criterion="good", score=value, reason=f"reason of {case_id}"),),
                    objectives={} if value is None else {"good": value},
                    trace_id=f"trace-{case_id}",
                    cost_usd=self.cost_usd,
                )


@dataclass
class FakeReflector:
    """Proposes ``rules`` for every failure; remembers what it was shown."""

    rules: tuple[str, ...] = ("Be kind.",)
    shown: list[ReflectionRequest] = field(default_factory=list)
    related: list[RelateRequest] = field(default_factory=list)
    relations: Relations = field(default_factory=Relations)

    def reflect(self, request: ReflectionRequest) -> Lessons:
        self.shown.append(request)
        evidence = tuple(failure.case_id for failure in request.failures)
        lessons = [Lesson(rule=rule, criterion="good", evidence=evidence) for rule in self.rules]
        return Lessons(lessons=tuple(lessons), calls=1, cost_usd=0.02)

    def relate(self, request: RelateRequest) -> Relations:
        self.related.append(request)
        return self.relations

    def rewrite(self, request: RewriteRequest) -> Rewrite:
        return Rewrite(text=request.text)


def cases(count: int) -> tuple[TaskCase, ...]:
    return tuple(TaskCase(f"t.py::test[{number}]", f"input {number}") for number in range(count))


Bench = Callable[..., Workbench]


@pytest.fixture
def make_bench() -> Bench:
    def make(
        evaluator: FakeEvaluator | None = None,
        reflector: FakeReflector | None = None,
        *,
        ledger: MemoryLedger | None = None,
        meter: Meter | None = None,
        events: list[Event] | None = None,
        reflecting: str = "",
        **job: object,
    ) -> Workbench:
        fields = {"task": "reply", "prompt": "Reply.", "search": cases(6), "reflector": reflecting, **job}
        return Workbench(
            SearchJob(**fields),  # type: ignore[arg-type]
            evaluator or FakeEvaluator(),
            reflector or FakeReflector(),
            ledger or MemoryLedger(),
            meter or Meter(),
            (events if events is not None else []).append,
        )

    return make


@pytest.fixture
def make_cases() -> Callable[[int], tuple[TaskCase, ...]]:
    return cases


@pytest.fixture
def fake_evaluator() -> type[FakeEvaluator]:
    return FakeEvaluator


@pytest.fixture
def fake_reflector() -> type[FakeReflector]:
    return FakeReflector
