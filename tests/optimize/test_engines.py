"""All engines: the budget holds, the seed decides, a killed search resumes without paying twice."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import pytest

from pytest_kaizen.errors import BudgetExceeded, ConfigError, LLMError
from pytest_kaizen.models import Scored
from pytest_kaizen.optimize import (
    ENGINES,
    Budget,
    Candidate,
    Event,
    MemoryLedger,
    Meter,
    ReflectionRequest,
    SearchJob,
    split_cases,
)

#: DSPy's have tests of their own: they ask otherwise, and need what is not always there.
EVERY = pytest.mark.parametrize("engine", sorted(name for name in ENGINES if not name.startswith("dspy")))


def ignore(event: Event) -> None:
    pass


def job_in(world: Any, prompt: str, **fields: Any) -> SearchJob:
    split = split_cases(world.inputs.values())
    return SearchJob(task="reply", prompt=prompt, search=split.search, validation=split.validation, **fields)


class Dies:
    """A world whose process is killed after so many rollouts."""

    def __init__(self, world: Any, after: int) -> None:
        self.world = world
        self.after = after

    def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> Iterable[Scored]:
        for scored in self.world.evaluate(prompt, cases, samples):
            if self.world.evaluations > self.after:
                raise KeyboardInterrupt
            yield scored


def run(engine: str, simulation: ModuleType, seed: int = 5, **given: Any) -> tuple[list[Candidate], Any]:
    world = simulation.World(seed)
    fields = {"evaluate": world, "ledger": MemoryLedger(), "budget": Meter(Budget(rollouts=100)), **given}
    fields.setdefault("reflect", simulation.SimulatedReflector(world))
    found = ENGINES[engine]().run(job_in(world, simulation.BASE, seed=seed), on_event=ignore, **fields)
    return found, world


@EVERY
def test_a_better_prompt_is_found_within_the_budget(engine: str, simulation: ModuleType) -> None:
    meter = Meter(Budget(rollouts=100))
    found, world = run(engine, simulation, budget=meter)
    assert world.true_score(found[0].text) > 2 * world.true_score(simulation.BASE)
    assert world.evaluations == meter.used.rollouts == meter.paid.rollouts <= 100
    assert "{{ message }}" in found[0].text


@EVERY
def test_the_same_seed_finds_the_same(engine: str, simulation: ModuleType) -> None:
    assert run(engine, simulation)[0] == run(engine, simulation)[0]
    assert run(engine, simulation)[0] != run(engine, simulation, seed=6)[0]


@EVERY
@pytest.mark.parametrize("after", [1, 40, 90])
def test_a_killed_search_resumes_and_pays_for_nothing_twice(
    engine: str, simulation: ModuleType, after: int
) -> None:
    whole, calm = run(engine, simulation)
    ledger = MemoryLedger()
    world = simulation.World(5)
    with pytest.raises(KeyboardInterrupt):
        run(engine, simulation, evaluate=Dies(world, after), ledger=ledger)
    meter = Meter(Budget(rollouts=100))
    resumed, rest = run(engine, simulation, ledger=ledger, budget=meter)
    assert resumed == whole
    # The rollout during which it was killed is the one that is lost.
    assert rest.evaluations == meter.paid.rollouts == calm.evaluations - after
    assert meter.used.rollouts == calm.evaluations


@EVERY
def test_a_search_out_of_the_ledger_costs_nothing(engine: str, simulation: ModuleType) -> None:
    ledger = MemoryLedger()
    first, _ = run(engine, simulation, ledger=ledger)
    again, world = run(engine, simulation, ledger=ledger, reflect=Fails(AssertionError("asked again")))
    assert again == first
    assert world.evaluations == 0


@EVERY
@pytest.mark.parametrize("rollouts", [0, 1, 13, 57])
def test_no_budget_is_passed(engine: str, simulation: ModuleType, rollouts: int) -> None:
    _, world = run(engine, simulation, budget=Meter(Budget(rollouts=rollouts)))
    assert world.evaluations <= rollouts


@EVERY
def test_a_cap_in_money_holds(engine: str, simulation: ModuleType) -> None:
    meter = Meter(Budget(usd=0.05))
    _, world = run(engine, simulation, budget=meter)
    assert 20 <= world.evaluations <= 50
    assert meter.used.usd <= 0.05


@EVERY
def test_a_perfect_prompt_is_left_alone(
    engine: str, make_cases: Any, fake_evaluator: Any, fake_reflector: Any
) -> None:
    evaluator, reflector = fake_evaluator(score=lambda *_: 1.0), fake_reflector()
    cases = make_cases(20)
    job = SearchJob(task="reply", prompt="Reply.", search=cases[:10], validation=cases[10:])
    meter = Meter(Budget(rollouts=1000))
    assert ENGINES[engine]().run(job, evaluator, reflector, MemoryLedger(), meter, ignore) == []
    assert meter.used.rollouts <= 10
    assert reflector.shown == []


class Fails:
    def __init__(self, error: Exception) -> None:
        self.calls = 0
        self.error = error

    def reflect(self, _: object) -> Any:
        self.calls += 1
        raise self.error

    relate = rewrite = reflect


@EVERY
def test_a_search_gives_up_after_three_failed_reflections(engine: str, simulation: ModuleType) -> None:
    reflector = Fails(LLMError("no key"))
    with pytest.raises(LLMError, match="no key"):
        run(engine, simulation, reflect=reflector)
    assert reflector.calls == 3


@EVERY
def test_a_reflection_beyond_the_budget_ends_the_search(engine: str, simulation: ModuleType) -> None:
    reflector = Fails(BudgetExceeded("all calls are used"))
    found, world = run(engine, simulation, reflect=reflector)
    assert (found, reflector.calls) == ([], 1)
    assert world.evaluations < 40


@EVERY
def test_without_a_cap_the_epochs_end_a_search(
    engine: str, make_cases: Any, fake_evaluator: Any, fake_reflector: Any
) -> None:
    cases = make_cases(20)
    job = SearchJob(task="reply", prompt="Reply.", search=cases[:10], validation=cases[10:], epochs=2)
    meter = Meter()
    reflector = fake_reflector()
    ENGINES[engine]().run(job, fake_evaluator(), reflector, MemoryLedger(), meter, ignore)
    estimate = ENGINES[engine]().estimate(job, None)
    assert estimate.rollouts[0] <= meter.used.rollouts <= estimate.rollouts[1]
    assert len(reflector.shown) <= estimate.calls[1]


@EVERY
def test_rollouts_that_break_stop_nothing(
    engine: str, make_cases: Any, fake_evaluator: Any, fake_reflector: Any
) -> None:
    evaluator = fake_evaluator(score=lambda _, case, __: None if "[3]" in case else 0.5)
    cases = make_cases(12)
    job = SearchJob(task="reply", prompt="Reply.", search=cases[:8], validation=cases[8:])
    meter = Meter(Budget(rollouts=60))
    ENGINES[engine]().run(job, evaluator, fake_reflector(), MemoryLedger(), meter, ignore)
    assert 0 < meter.used.rollouts <= 60


@EVERY
def test_the_estimate_is_a_range_that_holds(engine: str, simulation: ModuleType) -> None:
    world = simulation.World(5)
    job = job_in(world, simulation.BASE)
    capped = ENGINES[engine]().estimate(job, 100)
    assert 0 < capped.rollouts[0] <= capped.rollouts[1] <= 100
    assert 0 < capped.calls[0] <= capped.calls[1]
    free = ENGINES[engine]().estimate(job, None)
    assert free.rollouts[1] > 100


def test_insights_carries_the_lessons_that_stand_in_the_prompt(simulation: ModuleType) -> None:
    [found], _ = run("insights", simulation)
    added = set(found.text.split("\n")) - set(simulation.BASE.split("\n"))
    assert {f"- {insight.text}" for insight in found.insights} == added - {"", "Follow these rules:"}
    assert all(insight.evidence and insight.helpful for insight in found.insights)


def test_insights_tells_the_reflector_what_not_to_propose(simulation: ModuleType) -> None:
    world = simulation.World(5)
    reflector = simulation.SimulatedReflector(world)
    run("insights", simulation, reflect=reflector, budget=Meter(Budget(rollouts=200)))
    last = ReflectionRequest.model_validate_json(reflector.shown[-1])
    assert last.rejected


def test_gepa_proposes_small_edits_with_our_lessons(simulation: ModuleType) -> None:
    found, _ = run("gepa", simulation)
    assert found[0].text.startswith(simulation.BASE)
    assert found[0].insights


class Replaces:
    """Proposes a rule in the place of a line of the prompt."""

    def __init__(self, simulation: ModuleType) -> None:
        self.simulation = simulation

    def reflect(self, request: ReflectionRequest) -> Any:
        lesson = self.simulation.Lesson(
            rule="Be long.",
            criterion="good",
            replaces="Be brief.",
            evidence=tuple(failure.case_id for failure in request.failures),
        )
        return self.simulation.Lessons(lessons=(lesson,))

    def relate(self, _: object) -> Any:
        return self.simulation.Relations()

    rewrite = relate


def test_gepa_adds_what_several_reflections_came_to_and_else_one_lesson_at_a_time(
    simulation: ModuleType, make_cases: Any, fake_evaluator: Any
) -> None:
    class Three(Replaces):
        def reflect(self, request: ReflectionRequest) -> Any:
            rules = ("Be kind.", "Be kind.", f"Be exact, {request.attempt}.")
            return simulation.Lessons(lessons=tuple(simulation.Lesson(rule=rule) for rule in rules[::-1]))

    cases = make_cases(12)
    job = SearchJob(task="reply", prompt="Reply.", search=cases[:8], validation=cases[8:])
    evaluator = fake_evaluator(score=lambda prompt, *_: 0.2 + 0.5 * ("kind" in prompt))
    ENGINES["gepa"]().run(
        job, evaluator, Three(simulation), MemoryLedger(), Meter(Budget(rollouts=30)), ignore
    )
    prompts = list(dict.fromkeys(prompt for prompt, _, _ in evaluator.asked))
    assert prompts[1] == "Reply.\n\nFollow these rules:\n- Be kind."


def test_gepa_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, simulation: ModuleType) -> None:
    monkeypatch.setitem(sys.modules, "gepa.api", None)
    with pytest.raises(ConfigError, match=r"pip install 'pytest-kaizen\[gepa\]'"):
        run("gepa", simulation)


@pytest.mark.parametrize(
    ("later", "left"), [(0.9, "Be long."), (0.2, "Be brief.")], ids=["helps", "does not"]
)
def test_a_line_of_the_prompt_is_replaced_and_comes_back_when_that_was_no_good(
    simulation: ModuleType, make_cases: Any, fake_evaluator: Any, later: float, left: str
) -> None:
    def score(prompt: str, case: str, sample: int) -> float:
        if not case.endswith("[3]"):
            return 1.0
        # The first sample gets better with the rule, be it by luck.
        return (0.9 if sample == 0 else later) if "Be long." in prompt else 0.2

    cases = make_cases(12)
    job = SearchJob(task="reply", prompt="Reply.\nBe brief.", search=cases, epochs=1)
    evaluator = fake_evaluator(score=score)
    events: list[Event] = []
    found = ENGINES["insights"]().run(
        job, evaluator, Replaces(simulation), MemoryLedger(), Meter(), events.append
    )
    prompts = {prompt for prompt, _, _ in evaluator.asked}
    assert prompts == {"Reply.\nBe brief.", "Reply.\nBe long."}
    assert [candidate.text for candidate in found] == (["Reply.\nBe long."] if left == "Be long." else [])
