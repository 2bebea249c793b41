"""The process that runs a suite's cases under candidate prompts."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pytest_kaizen.errors import WorkerError
from pytest_kaizen.models import Feedback, Scored, Trace
from pytest_kaizen.pipeline.suite import Answer, Ask, Launch, Suite, SuiteEvaluator, WorkerProcess
from pytest_kaizen.scripted import Request
from tests.plugin.conftest import Suite as Project

TESTS = """
    import os
    import time
    import pytest

    @pytest.fixture(scope="module")
    def shared():
        return []

    @pytest.fixture
    def fresh():
        return []

    @pytest.mark.kaizen("greet")
    @pytest.mark.kaizen_threshold("warm", min=0.9, confidence=0.95)
    def test_warm(kaizen, ask, shared, fresh):
        shared.append(1)
        fresh.append(1)
        print("much ado")
        text = ask("Ada", system=kaizen.prompt("greet").text)
        kaizen.case(input="Ada", output=text)
        kaizen.check("warm", 0.25 if "cold" in text else 1.0, "it is cold")
        kaizen.check("again", True, f"shared {len(shared)}, fresh {len(fresh)}")

    @pytest.mark.kaizen_record("replay")
    @pytest.mark.kaizen("greet")
    def test_plain(kaizen, ask):
        assert "Dear" in ask("Bob", system=kaizen.prompt("greet").text), "no greeting"

    @pytest.mark.kaizen("greet")
    def test_broken_call(kaizen, ask, monkeypatch):
        ask("break", system=kaizen.prompt("greet").text)

    @pytest.mark.kaizen("greet")
    def test_skipped(kaizen):
        pytest.skip("not today")

    @pytest.mark.kaizen("greet")
    def test_dangerous(kaizen):
        text = kaizen.prompt("greet").text
        if "die" in text:
            os._exit(3)
        if "hang" in text:
            time.sleep(900)

    @pytest.fixture
    def broken():
        raise RuntimeError("no such table")

    @pytest.mark.kaizen("greet")
    def test_broken_fixture(kaizen, broken):
        pass

    def test_of_no_task():
        pass
"""


@pytest.fixture
def project(suite: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A suite whose model repeats its system prompt."""

    def answer(request: Request) -> str:
        return f"{request.system}: {request.last_user_text}"

    suite.llm.reply(answer)
    suite.llm.fail(400, when="break")
    suite.prompts("greet", "Be cold.")
    suite.write(TESTS)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p pytest_kaizen.plugin")
    return suite


@pytest.fixture
def worker(project: Project) -> Iterator[WorkerProcess]:
    process = WorkerProcess(Launch(project.root))
    yield process
    process.close()


def _ask(test: str, prompt: str = "Be cold.", sample: int = 0) -> Ask:
    return Ask(task="greet", prompt=prompt, case=f"test_it.py::{test}", sample=sample)


def _run(worker: WorkerProcess, ask: Ask) -> Scored:
    return worker.run(ask).scored


def test_runs_what_it_is_asked_for(project: Project, worker: WorkerProcess) -> None:
    names = ["warm", "plain", "broken_call", "skipped", "dangerous", "broken_fixture"]
    assert worker.suite.cases == {"greet": [f"test_it.py::test_{name}" for name in names]}
    assert set(worker.suite.measures) == {"greet"}

    first = _run(worker, _ask("test_warm"))
    assert (first.case_id, first.sample, first.output) == ("test_it.py::test_warm", 0, "Be cold.: Ada")
    assert (first.score, first.objectives) == (0.625, {"again": 1.0, "warm": 0.25})
    assert first.feedback == (
        Feedback(criterion="warm", score=0.25, reason="it is cold"),
        Feedback(criterion="again", score=1.0, reason="shared 1, fresh 1"),
    )
    assert first.cost_usd is not None
    assert first.cost_usd > 0

    # A candidate is the prompt of its rollout alone; wider fixtures live on, the test's own do not.
    candidate = _run(worker, _ask("test_warm", "Be warm.", sample=7))
    assert (candidate.sample, candidate.score, candidate.output) == (7, 1.0, "Be warm.: Ada")
    assert candidate.feedback[1].reason == "shared 2, fresh 1"
    assert _run(worker, _ask("test_warm")).score == 0.625

    # A test that scores nothing counts by whether it passes.
    assert _run(worker, _ask("test_plain", "Say Dear.")).score == 1.0
    raised = _run(worker, _ask("test_plain"))
    assert raised.score == 0.0
    [why] = raised.feedback
    assert (why.criterion, why.score) == ("test", 0.0)
    assert "AssertionError: no greeting" in str(why.reason)

    # What says nothing about the prompt is no score.
    broken = ["broken_call", "skipped", "broken_fixture"]
    errors = {name: _run(worker, _ask(f"test_{name}")) for name in broken}
    assert {name: rollout.score for name, rollout in errors.items()} == dict.fromkeys(errors)
    assert "a model call failed: " in str(errors["broken_call"].error)
    assert errors["skipped"].error == "the test was skipped"
    assert errors["broken_fixture"].error == "its fixtures failed: RuntimeError: no such table"
    assert _run(worker, _ask("test_of_old")).error == "the suite has no such case"

    with project.store as store:
        assert (store.runs(), store.prompts()) == ([], [])


def test_what_a_person_asked_of_the_run_before_is_not_for_workers(project: Project) -> None:
    # A debugger would wait for somebody, and a step would leave out what passed.
    process = WorkerProcess(Launch(project.root, ("--pdb", "--sw", "--lf")))
    raised = [_run(process, _ask("test_plain")).score for _ in range(2)]
    process.close()
    assert raised == [0.0, 0.0]
    remembered = project.root / ".pytest_cache/v/cache"
    assert sorted(path.name for path in remembered.glob("*")) == []


def test_one_that_dies_or_hangs_costs_its_case(project: Project) -> None:
    evaluator = SuiteEvaluator(Launch(project.root, deadline_s=10), "greet", workers=1)
    cases = ["test_it.py::test_dangerous", "test_it.py::test_warm"]
    try:
        died = {rollout.case_id: rollout for rollout in evaluator.evaluate("die", cases, [0])}
        hung = {rollout.case_id: rollout for rollout in evaluator.evaluate("hang", cases, [0])}
    finally:
        evaluator.close()
    assert [found[cases[1]].score for found in (died, hung)] == [1.0, 1.0]
    assert str(died[cases[0]].error).startswith("the worker died")
    assert hung[cases[0]] == Scored(case_id=cases[0], sample=0, error="the worker gave no answer within 10 s")


def test_a_search_that_is_broken_off_ends_its_workers(project: Project) -> None:
    evaluator = SuiteEvaluator(Launch(project.root), "greet", workers=2)
    cases = ["test_it.py::test_dangerous", "test_it.py::test_warm", "test_it.py::test_dangerous"]
    rollouts = iter(evaluator.evaluate("hang", cases, [0]))
    assert next(rollouts).score == 1.0
    started = time.monotonic()
    evaluator.close()
    assert time.monotonic() - started < 300
    # What was under way ends without a score, and what was still to come is not begun.
    assert [rollout.score for rollout in rollouts] == [None, None]
    again = list(evaluator.evaluate("hang", cases[1:2], [0]))
    assert [rollout.error for rollout in again] == ["the search was broken off"]


def test_a_suite_that_cannot_be_collected(project: Project) -> None:
    project.write("import nonsense_that_is_not_there")
    with pytest.raises(
        WorkerError, match=r"the suite cannot be run: its tests cannot be collected:\n(.*\n)*.*nonsense_that"
    ):
        WorkerProcess(Launch(project.root))
    # It is closed all the same.
    evaluator = SuiteEvaluator(Launch(project.root), "greet")
    with pytest.raises(WorkerError, match="the suite cannot be run"):
        evaluator.suite()
    evaluator.close()
    project.write("def broken(:")
    project.write("tasks: nonsense", "kaizen.yaml")
    with pytest.raises(WorkerError, match=r"the worker died:\n(.*\n)*.*kaizen.yaml"):
        WorkerProcess(Launch(project.root))


def test_traces_come_with_the_rollouts(project: Project) -> None:
    project.write(
        """
        name: greeting
        criteria:
        - {name: polite, check: {contains: Dear}, critical: true}
        - {name: short, check: {max_length: 300}}
        """,
        "rubric.yaml",
    )
    project.write("tasks: {greet: {rubric: rubric.yaml}}", "kaizen.yaml")
    kept: list[Trace] = []
    evaluator = SuiteEvaluator(Launch(project.root), "greet", keep=kept.append)
    try:
        assert evaluator.suite().critical == {"greet": ["greeting.polite"]}
        [rollout] = evaluator.evaluate("Be cold.", ["test_it.py::test_warm"], [0])
        list(evaluator.evaluate("Be cold.", ["test_it.py::test_skipped", "test_it.py::test_of_old"], [0]))
    finally:
        evaluator.close()
    assert rollout.objectives["greeting.polite"] == 0.0
    [trace] = kept
    assert (trace.id, trace.case_id) == (rollout.trace_id, "test_it.py::test_warm")
    assert trace.llm_spans[0].system == "Be cold."
    assert {score.name for score in trace.scores} >= {"warm", "greeting.polite"}
    # A trace that cannot be read does not take the score with it.
    assert Answer(scored=rollout, trace='{"id": 3}').read_trace() is None
    assert Answer(scored=rollout, trace="[" * 10_000).read_trace() is None


def test_what_it_is_told_and_says_is_json() -> None:
    suite = Suite(cases={"greet": ["a"]}, measures={"greet": "0"})
    assert Suite.model_validate_json(suite.model_dump_json()) == suite
