"""From stored traces to pending insights: what is studied, what is asked, what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.config import Config, load_config
from pytest_kaizen.errors import BudgetExceeded, JobError, LLMError, UsageError
from pytest_kaizen.llm import Completion, LLMRequest
from pytest_kaizen.models import Insight, InsightStatus, Job, JobStatus, Trace
from pytest_kaizen.optimize.search import is_held_out
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.pipeline.insights import Study, choose, draw_insights, estimate_study
from pytest_kaizen.store import Store

MODEL = "claude-haiku-4-5"
Answer = Callable[[LLMRequest], Any]


def lesson(rule: str, **fields: Any) -> dict[str, Any]:
    texts = dict.fromkeys(("justification", "criterion", "section", "when", "replaces"), "")
    return {**texts, "evidence": [1], "confidence": "high", "rule": rule, **fields}


def lessons(*rules: str) -> dict[str, Any]:
    return {"lessons": [lesson(rule) for rule in rules]}


def unheard(job: Job) -> None:
    assert job.status is JobStatus.RUNNING


class Model:
    """Answers each question about traces with the next of ``answers``, the last for ever."""

    def __init__(self, *answers: Any, relations: Sequence[dict[str, Any]] = ()) -> None:
        self._answers = list(answers)
        self._relations = list(relations)
        self.asked: list[LLMRequest] = []

    def complete(self, request: LLMRequest) -> Completion:
        self.asked.append(request)
        assert request.schema is not None
        if "relations" in request.schema["properties"]:
            data: Any = {"relations": self._relations}
        else:
            data = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(data, Exception):
            raise data
        return Completion(text="", model=request.model, data=data, cost_usd=0.01)

    @property
    def shown(self) -> str:
        return "\n".join(request.prompt for request in self.asked)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(tmp_path)


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with Store.open(config.store) as opened:
        yield opened


def put(store: Store, *outputs: str, **fields: Any) -> list[str]:
    traces = [
        Trace(id=f"{i:02}{output}", name=output, created_at=datetime.now(UTC), output=output)
        for i, output in enumerate(outputs)
    ]
    store.shelf.add(trace.model_copy(update=fields) for trace in traces)
    return [trace.id for trace in traces]


def draw(config: Config, store: Store, model: Model, **settings: Any) -> Job:
    study = Study(choose(config, store).traces, MODEL, **settings)
    job = jobs.start(store, jobs.INSIGHTS, study.task, study.settings)
    draw_insights(config, store, job, model, unheard)
    return jobs.look_up(store, job.id)


def test_lessons_become_pending_insights_with_their_evidence(config: Config, store: Store) -> None:
    ids = put(store, *"abcdef")
    steps: list[str] = []
    study = Study(choose(config, store).traces, MODEL)
    job = jobs.start(store, jobs.INSIGHTS, study.task, study.settings)
    model = Model(lessons("Name a date."), lessons("Be brief.", "\x1b[31mBe red."))
    draw_insights(config, store, job, model, lambda job: steps.append(f"{job.step} ${job.spend.usd:.2f}"))
    found = {insight.rule: insight for insight in store.insights()}
    assert list(found) == [r"\x1b[31mBe red.", "Be brief.", "Name a date."]
    first = found["Name a date."]
    # The newest traces come first.
    assert (first.task, first.status, first.evidence) == ("default", InsightStatus.PENDING, (ids[5],))
    assert first.created_at is not None
    assert found["Be brief."].evidence == (ids[1],)
    assert steps == ["pass 1, chunk 1: 0 insights $0.00", "pass 1, chunk 2: 1 insight $0.01"]
    done = jobs.look_up(store, job.id)
    assert (done.status, done.spend.calls, done.task) == (JobStatus.COMPLETED, 3, "default")
    assert done.result == {
        "skillsGenerated": 3,
        "summary": "3 new insights from 6 traces in 3 calls, $0.0300",
        "materialized": False,
        "insights": [first.id, found["Be brief."].id, found[r"\x1b[31mBe red."].id],
    }
    # The same traces again: nothing is paid for, and nothing is new.
    again = draw(config, store, Model(LLMError("not to be asked")))
    assert again.result["summary"] == "0 new insights from 6 traces in 2 calls, $0.0200"


def test_held_out_inputs_never_reach_the_model(config: Config, store: Store) -> None:
    inputs = [f"canary {number}" for number in range(40)]
    kept = [text for text in inputs if not is_held_out(text)]
    assert 0 < len(kept) < 40
    for text in inputs:
        put(store, f"answer to <{text}>", input=text, task="greet", id=text)
    chosen = choose(config, store)
    assert (sorted(chosen.traces["greet"]), chosen.held_out) == (sorted(kept), 40 - len(kept))
    model = Model(lessons("Be kind."))
    draw(config, store, model, epochs=2)
    assert [text for text in inputs if f"<{text}>" in model.shown] == kept
    [one] = [text for text in inputs if is_held_out(text)][:1]
    with pytest.raises(UsageError, match="all 1 are held out to prove what an optimisation finds"):
        choose(config, store, [one])


def test_a_task_may_hold_out_other_shares(config: Config, store: Store) -> None:
    (config.root / "kaizen.yaml").write_text(
        "tasks: {greet: {optimize: {shares: {search: 0.05, validation: 0.05}}}}\n"
    )
    for number in range(40):
        put(store, "a", input=f"canary {number}", task="greet", id=str(number))
    few = choose(load_config(config.root), store)
    assert few.held_out - choose(config, store).held_out > 0
    assert few.held_out > 25


def test_insights_belong_to_the_tasks_of_their_traces(config: Config, store: Store) -> None:
    (config.root / "prompts/greet").mkdir(parents=True)
    (config.root / "prompts/greet/1.md").write_text("You greet people.\n")
    put(store, "a")
    put(store, "bb", task="greet", input=next(t for t in "mnopq" if not is_held_out(t)))
    put(store, "cc", task="(no task)", input=next(t for t in "mnopq" if not is_held_out(t)))
    assert choose(config, store, task="greet").traces == {"greet": ["00bb"]}
    assert choose(config, store, ["00b", "00a"]).traces == {"greet": ["00bb"], "default": ["00a"]}
    with pytest.raises(UsageError, match="trace 00a is not of the task 'greet'"):
        choose(config, store, ["00a"], task="greet")
    with pytest.raises(UsageError, match="no traces to draw insights from; run `pytest --kaizen`, or upload"):
        choose(config, store, task="other")
    model = Model(lessons("Be kind."))
    assert draw(config, store, model).task == "default"
    assert {(insight.task, insight.evidence) for insight in store.insights()} == {
        ("default", ("00cc",)),
        ("greet", ("00bb",)),
    }
    assert ["You greet people." in asked.prompt for asked in model.asked] == [False, True]


def test_a_judge_merges_what_says_the_same_and_notes_what_contradicts(config: Config, store: Store) -> None:
    put(store, *"abcde")
    known = Insight(id="k", task="default", rule="Be long.")
    store.save_insights([known])
    same = {"new": 1, "known": 1, "kind": "same"}
    against = {"new": 2, "known": 1, "kind": "contradicts"}
    model = Model(lessons("Write much.", "Be brief."), lessons("Be brief."), relations=[same, against])
    job = draw(config, store, model)
    found = {insight.rule: insight for insight in store.insights()}
    assert set(found) == {"Be long.", "Be brief."}
    assert (found["Be long."].votes, found["Be long."].evidence) == (2, ("04e",))
    assert (found["Be brief."].votes, found["Be brief."].contradicts) == (2, ("k",))
    assert job.result["skillsGenerated"] == 1
    assert len(job.result["insights"]) == 2


def test_rejected_ones_are_not_proposed_again_and_later_passes_are_told_what_is_known(
    config: Config, store: Store
) -> None:
    put(store, "a")
    store.save_insights([Insight(id="r", task="default", rule="Shout.", status=InsightStatus.REJECTED)])
    same = {"new": 1, "known": 1, "kind": "same"}
    model = Model(lessons("Be loud."), lessons("Be brief."), relations=[same])
    draw(config, store, model, epochs=2)
    questions = [asked.prompt for asked in model.asked if "NEW RULES" not in asked.prompt]
    assert [("TRIED AND REJECTED" in text, "- Shout." in text) for text in questions] == [(True, True)] * 2
    assert ["BEGIN NOTED" in text for text in questions] == [False, False]
    assert [insight.rule for insight in store.insights()] == ["Shout."]

    model = Model(lessons("Name a date."), lessons("Name a place."))
    put(store, "another")
    draw(config, store, model, epochs=2)
    questions = [asked.prompt for asked in model.asked if "NEW RULES" not in asked.prompt]
    assert ["- Name a date." in text for text in questions] == [False, True]


def test_what_a_person_decides_while_the_job_runs_stays(config: Config, store: Store) -> None:
    put(store, *"abcde")
    known = Insight(id="k", task="default", rule="Be brief.")
    store.save_insights([known])

    class Interrupted(Model):
        def complete(self, request: LLMRequest) -> Completion:
            store.save_insights([known.model_copy(update={"status": InsightStatus.ACCEPTED, "note": "good"})])
            return super().complete(request)

    draw(config, store, Interrupted(lessons("Be brief.")))
    [insight] = store.insights()
    assert (insight.status, insight.note, insight.votes) == (InsightStatus.ACCEPTED, "good", 3)


def test_a_long_trace_is_read_in_pieces_or_cut(config: Config, store: Store) -> None:
    put(store, "x" * 4000 + "\n" + "y" * 4000 + "needle" + "z" * 6000)
    recursive = Model({"read": ["00xxxxxx.2", "none"], "lessons": []}, lessons("Be kind."))
    job = draw(config, store, recursive)
    assert ["needle" in asked.prompt for asked in recursive.asked] == [False, True]
    assert job.spend.calls == 2
    standard = Model(lessons("Be kind."))
    draw(config, store, standard, mode="standard")
    assert ["needle" in asked.prompt for asked in standard.asked] == [True]


def test_the_cost_is_estimated_before(config: Config, store: Store) -> None:
    put(store, "a" * 3000, "b" * 30_000)
    traces = choose(config, store).traces
    standard = estimate_study(config, store, Study(traces, MODEL, mode="standard", epochs=2))
    assert standard.calls == (2, 4)
    assert standard.usd is not None
    # A dollar for a million tokens in, five out: (33,000 + 2,500) characters at 5 and at 3 a token.
    assert standard.usd == pytest.approx((2 * (7104 + 300 * 5) / 1e6, 4 * (11837 + 2500 * 5) / 1e6), rel=0.01)
    recursive = estimate_study(config, store, Study(traces, MODEL))
    assert recursive.calls == (1, 7)
    assert recursive.usd is not None
    assert recursive.usd[0] < standard.usd[0]
    assert recursive.usd[1] > standard.usd[1]
    assert estimate_study(config, store, Study(traces, "unheard-of")).usd is None


def test_the_budget_is_a_hard_cap(config: Config, store: Store) -> None:
    put(store, *"abcdefghi")
    with pytest.raises(BudgetExceeded):
        draw(config, store, Model(lessons("Never asked.")), budget_usd=0.001)
    failed = jobs.look_up(store, "last")
    assert (failed.status, failed.spend.calls, store.insights()) == (JobStatus.FAILED, 0, [])
    # A call costs 0.01, and may cost as much as 0.045: the third does not fit.
    job = draw(config, store, Model(lessons("Be kind.")), budget_usd=0.06)
    assert job.status is JobStatus.COMPLETED
    assert job.spend.usd <= 0.06
    assert "; ended early: $0.0" in job.result["summary"]
    assert [insight.rule for insight in store.insights()] == ["Be kind."]


def test_a_failure_now_and_then_costs_its_chunk_and_the_first_one_the_job(
    config: Config, store: Store
) -> None:
    put(store, *"abcdefghi")
    with pytest.raises(LLMError, match="no key"):
        draw(config, store, Model(LLMError("no key")))
    assert jobs.look_up(store, "last").error == "no key"
    job = draw(config, store, Model(lessons("Be kind."), LLMError("busy"), lessons("Be brief.")))
    assert job.result["summary"].endswith("; 1 chunk without an answer: busy")
    assert job.result["skillsGenerated"] == 2


def test_a_job_that_lost_its_process_is_gone_on_with_for_free(config: Config, store: Store) -> None:
    put(store, *"abcdefgh")
    study = Study(choose(config, store).traces, MODEL)
    job = jobs.start(store, jobs.INSIGHTS, study.task, study.settings)
    with pytest.raises(JobError, match="is under way"):
        draw(config, store, Model(lessons("Other.")))
    dies = Model(lessons("Be kind."), KeyError("the process is gone"))
    with pytest.raises(KeyError):
        draw_insights(config, store, job, dies, unheard)
    assert store.insights() == []
    again = Model(lessons("Be brief."))
    claimed = jobs.claim(store, job.id)
    draw_insights(config, store, claimed, again, unheard)
    assert [insight.rule for insight in store.insights()] == ["Be brief.", "Be kind."]
    assert [asked.prompt.count("BEGIN RUN") for asked in again.asked] == [4, 0]
    assert jobs.look_up(store, job.id).spend.calls == 3
