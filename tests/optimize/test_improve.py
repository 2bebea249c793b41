"""From cases to a proposal, and what never leaks on the way."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from pytest_kaizen.errors import LLMError, UsageError
from pytest_kaizen.models import Decision, Feedback, Scored
from pytest_kaizen.optimize import (
    ENGINES,
    Budget,
    Event,
    Improve,
    Improved,
    MemoryLedger,
    Meter,
    Standard,
    TaskCase,
    estimate_improve,
    improve,
    split_cases,
)

EVERY = pytest.mark.parametrize("engine", sorted(name for name in ENGINES if not name.startswith("dspy")))


def ignore(event: Event) -> None:
    pass


def run(
    simulation: ModuleType, world: Any, reflector: Any = None, rollouts: int | None = 250, **given: Any
) -> Improved:
    fields = {name: given.pop(name) for name in ("ledger", "budget", "evaluate") if name in given}
    request = Improve("reply", simulation.BASE, tuple(world.inputs.values()), **given)
    return improve(
        request,
        evaluate=fields.get("evaluate", world),
        reflect=reflector or simulation.SimulatedReflector(world),
        ledger=fields.get("ledger", MemoryLedger()),
        budget=fields.get("budget", Meter(Budget(rollouts=rollouts))),
        on_event=ignore,
    )


@EVERY
def test_a_better_prompt_is_proposed_with_its_evidence(engine: str, simulation: ModuleType) -> None:
    world = simulation.World(5)
    done = run(simulation, world, engine=engine)
    assert done.proposal is not None
    verdict = done.proposal.acceptance
    assert verdict.decision is Decision.ACCEPTED
    assert done.proposal.may_activate
    assert {pair.case_id for pair in verdict.cases} == {case.id for case in done.split.held_out}
    assert len(verdict.won) > len(verdict.lost)
    assert done.proposal.diff[:2] == ["--- active", "+++ candidate"]
    assert done.proposal.validation is not None
    assert done.sentence == verdict.sentence
    assert world.evaluations == done.spend.rollouts == done.paid.rollouts <= 250
    assert tuple(done.proposal.insights) == done.insights


class Marked:
    """A world that marks inputs' outputs and reasons with the side that their case is on."""

    def __init__(self, world: Any) -> None:
        self.world = world
        split = split_cases(world.inputs.values())
        self.sides = {case.id: side for side, part in zip(split._fields, split, strict=True) for case in part}

    def evaluate(self, prompt: str, cases: Any, samples: Any) -> Any:
        for scored in self.world.evaluate(prompt, cases, samples):
            canary = f"canary-{self.sides[scored.case_id]}"
            feedback = [
                Feedback(**{**item.model_dump(), "observed": f"{item.observed} {canary}"})
                for item in scored.feedback
            ]
            yield Scored(
                **{**scored.model_dump(), "output": f"{scored.output} {canary}", "feedback": feedback}
            )


@EVERY
def test_nothing_of_a_held_out_case_reaches_the_reflector(engine: str, simulation: ModuleType) -> None:
    world = simulation.World(5)
    reflector = simulation.SimulatedReflector(world)
    done = run(simulation, world, reflector, evaluate=Marked(world), engine=engine)
    assert done.proposal is not None
    shown = "\n".join(reflector.shown)
    # The probe sees what is shown at all.
    assert "canary-search" in shown
    assert any(case.input in shown for case in done.split.search)
    assert "canary-held_out" not in shown
    assert "canary-validation" not in shown
    for case in (*done.split.held_out, *done.split.validation):
        assert case.input not in shown
        assert f'"{case.id}"' not in shown


@EVERY
def test_a_job_out_of_the_ledger_proposes_the_same_for_nothing(engine: str, simulation: ModuleType) -> None:
    ledger = MemoryLedger()
    first = run(simulation, simulation.World(5), ledger=ledger, engine=engine)
    world = simulation.World(5)
    again = run(simulation, world, ledger=ledger, engine=engine)
    assert again.proposal == first.proposal
    assert again.proposal is not None
    assert again.proposal.acceptance.look == 1
    assert (world.evaluations, again.paid.rollouts) == (0, 0)


def test_a_later_search_on_the_same_cases_is_a_later_look(simulation: ModuleType) -> None:
    ledger = MemoryLedger()
    looks = []
    for seed in (0, 1):
        done = run(simulation, simulation.World(5), ledger=ledger, seed=seed)
        assert done.proposal is not None
        looks.append((done.proposal.acceptance.look, done.proposal.acceptance.level))
    assert [look for look, _ in looks] == [1, 2]
    assert looks[1][1] == pytest.approx(looks[0][1] / 4)


def test_few_held_out_cases_are_underpowered_and_need_a_person(simulation: ModuleType) -> None:
    done = run(simulation, simulation.World(5, cases=25), shares=(0.7, 0.2))
    assert done.proposal is not None
    assert done.proposal.acceptance.decision is Decision.UNDERPOWERED
    assert not done.proposal.may_activate
    assert "underpowered" in done.sentence


def test_where_no_rule_helps_nothing_is_accepted(simulation: ModuleType) -> None:
    for seed in range(5):
        done = run(simulation, simulation.World(seed, helpful=False), rollouts=200)
        assert done.proposal is None or not done.proposal.may_activate


def test_a_candidate_below_the_standard_is_not_proposed(simulation: ModuleType) -> None:
    done = run(simulation, simulation.World(5), standard=Standard(min_gain=0.9))
    assert done.proposal is None
    assert done.sentence.startswith("rejected: the candidate gained")


def test_no_candidate_no_look(simulation: ModuleType) -> None:
    world, ledger = simulation.World(5), MemoryLedger()
    silent = simulation.SimulatedReflector(world)
    silent.reflect = lambda _: simulation.Lessons()
    done = run(simulation, world, silent, ledger=ledger)
    assert (done.proposal, done.sentence) == (None, "nothing better was found")
    assert ledger.look("reply", "p", "c") == 1


def test_the_comparison_is_kept_back_from_the_search(simulation: ModuleType) -> None:
    world = simulation.World(5)
    split = split_cases(world.inputs.values())
    final = 2 * (len(split.validation) + len(split.held_out))
    done = run(simulation, world, rollouts=final + 60)
    assert done.proposal is not None
    assert len(done.proposal.acceptance.cases) == len(split.held_out)
    with pytest.raises(UsageError, match=f"takes {final} of them; allow {2 * final} or more"):
        run(simulation, simulation.World(5), rollouts=final)
    world = simulation.World(5)
    with pytest.raises(UsageError, match=f"takes {final} of them; allow {2 * final} or more"):
        estimate_improve(
            Improve("reply", simulation.BASE, tuple(world.inputs.values())),
            evaluate=world,
            reflect=simulation.SimulatedReflector(world),
            ledger=MemoryLedger(),
            budget=Meter(Budget(rollouts=final)),
            on_event=ignore,
        )
    assert world.evaluations == 0


def test_an_unknown_engine_is_named_before_anything_runs(simulation: ModuleType) -> None:
    world = simulation.World(5)
    with pytest.raises(UsageError, match="unknown engine 'magic'; valid: insights, gepa, gepa-plain"):
        run(simulation, world, engine="magic")
    assert world.evaluations == 0


def test_without_a_case_to_search_in_it_says_so() -> None:
    with pytest.raises(UsageError, match="has 0 cases and none of them falls to the search"):
        improve(
            Improve("reply", "p", ()),
            evaluate=None,  # type: ignore[arg-type]
            reflect=None,  # type: ignore[arg-type]
            ledger=MemoryLedger(),
            budget=Meter(),
            on_event=ignore,
        )


def test_a_reflector_that_keeps_failing_is_an_error(simulation: ModuleType) -> None:
    world = simulation.World(5)
    broken = simulation.SimulatedReflector(world)

    def fail(request: object) -> None:
        raise LLMError(f"no key for {type(request).__name__}")

    broken.reflect = fail
    with pytest.raises(LLMError, match="no key"):
        run(simulation, world, broken)


@EVERY
def test_the_estimate_covers_the_job_and_its_pilot_is_not_paid_for_twice(
    engine: str, simulation: ModuleType
) -> None:
    world = simulation.World(5)
    ledger, meter = MemoryLedger(), Meter(Budget(rollouts=250))
    given: dict[str, Any] = {"evaluate": world, "ledger": ledger, "budget": meter, "on_event": ignore}
    given["reflect"] = simulation.SimulatedReflector(world)
    request = Improve("reply", simulation.BASE, tuple(world.inputs.values()), engine=engine)
    cost = estimate_improve(request, **given)
    assert cost.reasons
    assert cost.usd is not None
    assert world.evaluations == 3
    done = improve(request, **given)
    assert cost.rollouts[0] <= done.spend.rollouts <= cost.rollouts[1]
    assert done.spend.usd <= cost.usd[1]
    assert world.evaluations == done.paid.rollouts


def test_the_estimate_tells_scores_without_reasons_and_unknown_prices(
    fake_evaluator: Any, fake_reflector: Any
) -> None:
    class Mute(fake_evaluator):  # type: ignore[misc]
        def evaluate(self, *asked: Any) -> Any:
            for scored in super().evaluate(*asked):
                yield scored.model_copy(update={"feedback": ()})

    cases = tuple(TaskCase(f"t.py::test[{number}]", f"input {number}") for number in range(20))
    cost = estimate_improve(
        replace(Improve("reply", "Reply.", cases), epochs=1),
        evaluate=Mute(cost_usd=None),
        reflect=fake_reflector(),
        ledger=MemoryLedger(),
        budget=Meter(),
        on_event=ignore,
    )
    assert (cost.reasons, cost.usd) == (False, None)
