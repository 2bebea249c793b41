"""The engines of DSPy: like the others within budget, seeded and resumable, though DSPy swallows errors."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from pytest_kaizen.errors import BudgetExceeded, ConfigError, LLMError
from pytest_kaizen.models import Feedback, Scored
from pytest_kaizen.optimize import (
    ENGINES,
    Budget,
    Candidate,
    Event,
    MemoryLedger,
    Meter,
    Rewrite,
    RewriteRequest,
    SearchJob,
    TaskCase,
)

EVERY = pytest.mark.parametrize("engine", ["dspy", "dspy-gepa"])
BASE = "You greet.\n  Be yourself.\n{{ message }}"
WORDS = ("warm", "brief", "polite")


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    if "missing" not in request.node.name:
        reason = "needs the extra dspy, which cannot be installed beside openai 3"
        pytest.importorskip("dspy", reason=reason)
        pytest.importorskip("optuna", reason=reason)


class Greeting:
    """A suite in which each of three words in the prompt is worth something."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.evaluations = 0
        self.prompts: list[str] = []
        self.dies_after = dies_after

    def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> Iterable[Scored]:
        self.prompts.append(prompt)
        for case in cases:
            for sample in samples:
                self.evaluations += 1
                if self.dies_after is not None and self.evaluations > self.dies_after:
                    raise KeyboardInterrupt
                score = 0.1 + 0.25 * sum(word in prompt for word in WORDS)
                why = Feedback(criterion="tone", score=score, reason=f"case {case} lacks warmth")
                yield Scored(case_id=case, sample=sample, score=score, feedback=(why,), cost_usd=0.001)


class Model:
    """Answers in the shape that DSPy asks for; each instruction that it writes has other words."""

    def __init__(self, prompt: Callable[[int], str] | None = None) -> None:
        self.asked: list[str] = []
        self._prompt = prompt or self._wordy

    @staticmethod
    def _wordy(number: int) -> str:
        words = [word for place, word in enumerate(WORDS, 2) if number % place == 0]
        return f"You greet, number {number}: {' '.join(words)}\n{{{{ message }}}}"

    def rewrite(self, request: RewriteRequest) -> Rewrite:
        self.asked.append(request.text)
        text = self._prompt(len(self.asked))
        if '"new_instruction"' in request.text:
            answer = json.dumps({"new_instruction": text})
        else:
            names = dict.fromkeys(re.findall(r"\[\[ ## (\w+) ## \]\]", request.text))
            answer = "\n".join(f"[[ ## {name} ## ]]\n{text}\n" for name in names)
        return Rewrite(text=answer, calls=1, cost_usd=0.001)

    def reflect(self, request: object) -> Any:
        raise AssertionError(request)

    relate = reflect


class Fails(Model):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def rewrite(self, request: RewriteRequest) -> Rewrite:
        self.asked.append(request.text)
        raise self.error


def job(seed: int = 5, **fields: Any) -> SearchJob:
    search = tuple(TaskCase(f"s{number}", f"hello {number}") for number in range(9))
    validation = tuple(TaskCase(f"v{number}", f"good day {number}") for number in range(5))
    given = {"task": "t", "prompt": BASE, "search": search, "validation": validation, "seed": seed}
    return SearchJob(**{**given, "epochs": 3, **fields})


def run(engine: str, **given: Any) -> tuple[list[Candidate], Greeting]:
    world: Greeting = given.pop("evaluate", None) or Greeting()
    fields = {
        "reflect": Model(),
        "ledger": MemoryLedger(),
        "budget": Meter(Budget(rollouts=100)),
        "on_event": lambda _: None,
        **given,
    }
    return ENGINES[engine]().run(fields.pop("job", job()), world, **fields), world


@EVERY
def test_a_better_prompt_is_found_within_the_budget(engine: str, capsys: Any, caplog: Any) -> None:
    meter, events = Meter(Budget(rollouts=100)), list[Event]()
    with caplog.at_level(logging.INFO):
        found, world = run(engine, budget=meter, on_event=events.append)
    assert sum(word in found[0].text for word in WORDS) >= 1
    assert world.evaluations == meter.used.rollouts <= 100
    # The prompt itself runs as it is, though DSPy takes indentation out of instructions.
    assert BASE in world.prompts
    assert not any("Be yourself" in prompt for prompt in world.prompts if prompt != BASE)
    assert events[-1].best == 0.1 + 0.25 * sum(word in found[0].text for word in WORDS)
    # Prompts and outputs are nobody's to print.
    assert (*capsys.readouterr(), caplog.text) == ("", "", "")


@EVERY
def test_the_same_seed_finds_the_same(engine: str) -> None:
    assert run(engine)[0] == run(engine)[0]
    prompts = [run(engine, job=job(seed=seed), reflect=(model := Model())) and model.asked for seed in (5, 6)]
    assert prompts[0] != prompts[1]


@EVERY
@pytest.mark.parametrize("after", [1, 12])
def test_a_killed_search_resumes_and_pays_for_nothing_twice(engine: str, after: int) -> None:
    whole, calm = run(engine)
    ledger = MemoryLedger()
    first, second = Model(), Model()
    with pytest.raises(KeyboardInterrupt):
        run(engine, evaluate=Greeting(dies_after=after), ledger=ledger, reflect=first)
    # The one who answers goes on where the other was: in life it is a model.
    second.asked += first.asked
    resumed, rest = run(engine, ledger=ledger, reflect=second)
    assert resumed == whole
    assert rest.evaluations == calm.evaluations - after
    again, nothing = run(engine, ledger=ledger, reflect=Fails(AssertionError("asked again")))
    assert (again, nothing.evaluations) == (whole, 0)


@EVERY
@pytest.mark.parametrize("rollouts", [0, 1, 8, 21])
def test_no_budget_is_passed(engine: str, rollouts: int) -> None:
    _, world = run(engine, budget=Meter(Budget(rollouts=rollouts)))
    assert world.evaluations <= rollouts
    meter = Meter(Budget(usd=0.02))
    run(engine, budget=meter)
    assert meter.used.usd <= 0.02


@EVERY
def test_a_perfect_prompt_is_left_alone(engine: str) -> None:
    class Perfect(Greeting):
        def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> Iterable[Scored]:
            for scored in super().evaluate(prompt, cases, samples):
                yield scored.model_copy(update={"score": 1.0})

    model = Model()
    found, world = run(engine, evaluate=Perfect(), reflect=model, budget=Meter())
    assert found == []
    assert world.evaluations <= 14
    assert len(model.asked) <= ENGINES[engine]().estimate(job(), None).calls[1]


@EVERY
def test_a_search_gives_up_after_three_failed_reflections(engine: str) -> None:
    reflector = Fails(LLMError("no key"))
    with pytest.raises(LLMError, match="no key"):
        run(engine, reflect=reflector)
    # Of MIPROv2's questions some may go without an answer, and others may not.
    assert len(reflector.asked) == (3 if engine == "dspy-gepa" else 2)
    refused = Fails(BudgetExceeded("all calls are used"))
    assert run(engine, reflect=refused)[0] == []
    assert len(refused.asked) == 1


@EVERY
def test_answers_that_are_of_no_use_end_a_search(engine: str) -> None:
    class Babbles(Model):
        def rewrite(self, request: RewriteRequest) -> Rewrite:
            super().rewrite(request)
            return Rewrite(text="", calls=1)

    model = Babbles()
    if engine == "dspy":
        with pytest.raises(LLMError, match="DSPy gave up: AdapterParseError: "):
            run(engine, reflect=model)
    else:
        assert run(engine, reflect=model, job=job(epochs=100))[0] == []
    assert len(model.asked) <= 45
    # A prompt that the tests could not render is not run.
    found, world = run(engine, reflect=Model(lambda number: f"Be warm, brief and polite. {number}"))
    assert (found, set(world.prompts)) == ([], {BASE})


@EVERY
def test_the_estimate_is_a_range_that_holds(engine: str) -> None:
    meter, model = Meter(), Model()
    run(engine, budget=meter, reflect=model)
    estimate = ENGINES[engine]().estimate(job(), None)
    assert estimate.rollouts[0] <= meter.used.rollouts <= estimate.rollouts[1]
    assert estimate.calls[0] <= len(model.asked) <= estimate.calls[1]
    assert ENGINES[engine]().estimate(job(), 7).rollouts[1] == 7


@EVERY
def test_missing_it_says_how_to_get_it(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dspy", None)
    with pytest.raises(ConfigError, match=r"pip install 'pytest-kaizen\[dspy\]'"):
        run(engine)


@EVERY
def test_nothing_but_the_search_is_shown_to_the_model(engine: str) -> None:
    model = Model()
    run(engine, reflect=model)
    shown = "\n".join(model.asked)
    assert "hello 1" in shown
    # What picks among candidates is not read.
    assert "good day" not in shown
    assert "case v" not in shown
