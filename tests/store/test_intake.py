from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_kaizen.models import Sample, Score, ScoreSource, Span, Trace
from pytest_kaizen.store import Store
from pytest_kaizen.store.feedback import Rating
from tests.store.conftest import Make

NOW = datetime(2026, 3, 30, tzinfo=UTC)


def trace(trace_id: str = "t1", *spans: str, output: str = "out") -> Trace:
    made = [Span(id=name, name=name, started_at=NOW) for name in spans]
    return Trace(id=trace_id, name="call", created_at=NOW, output=output, spans=made)


def test_a_trace_of_no_case(store: Store) -> None:
    given = trace("t1", "a", "b")
    given.scores.append(Score(name="s", value=0.5, source=ScoreSource.SDK))
    store.intake.put([given, trace("t2")])
    assert store.intake.one("t1") == given
    assert [found.id for found in store.traces()] == ["t2", "t1"]


def test_what_a_trace_has_become(store: Store) -> None:
    store.intake.put([trace("t1", "a", "b"), trace("t2")])
    store.intake.put([trace("t1", "b", output="other")])
    assert store.intake.one("t1") == trace("t1", "b", output="other")
    assert [found.id for found in store.traces()] == ["t2", "t1"]


def test_a_whole_id_is_meant(store: Store) -> None:
    store.intake.put([trace("abc")])
    assert store.intake.one("ab") is None
    assert store.intake.one("last") is None


def test_a_sample_stays_a_sample(store: Store, make: Make) -> None:
    run, case = make.run(), make.case()
    store.start_run(run)
    sample = Sample(trace=trace("t1", "a"), passed=True, metrics={"score": 1.0})
    store.add_sample(case, sample, begins=True)
    store.intake.put([trace("t1", "a", output="changed")])
    (found,) = store.cases(run.id)[0].samples
    assert found == sample.model_copy(update={"trace": trace("t1", "a", output="changed")})


def test_pages(store: Store, make: Make) -> None:
    given = [make.trace(id=f"t{number}", task="a" if number % 2 else "b") for number in range(5)]
    # Two of one moment are told apart by the order in which they came.
    given[3].created_at = given[2].created_at
    store.intake.put(given)
    ids, after = [], None
    for _ in range(3):
        page = store.intake.page(limit=2, after=after)
        ids.append([found.id for found in page.traces])
        after = page.ends[-1]
    assert (ids, page.more) == ([["t4", "t3"], ["t2", "t1"], ["t0"]], False)
    assert [found.id for found in store.intake.page(task="a").traces] == ["t3", "t1"]
    assert len(store.intake.page(provider="anthropic").traces) == 5
    assert store.intake.page(provider="openai") == ([], [], False)


def test_ratings(store: Store) -> None:
    assert store.ratings.one("t1") is None
    assert store.ratings.put("t1", Rating(rating="up")) == Rating(rating="up")
    assert store.ratings.put("t1", Rating(comment="fine")) == Rating(rating="up", comment="fine")
    store.ratings.put("t1", Rating(rating="down"))
    assert store.ratings.one("t1") == Rating(rating="down", comment="fine")


def test_another_order_than_that_of_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, task, value, spans in (("b", "x", 0.5, "12"), ("c", None, 0.9, ""), ("a", "x", None, "1")):
        given = trace(name, *spans).model_copy(update={"task": task, "name": name})
        if value is not None:
            given.scores.append(Score(name="s", value=value, source=ScoreSource.SDK))
        store.intake.put([given])

    def order(by: str, *, limit: int = 50, skip: int = 0) -> str:
        return "".join(found.id for found in store.intake.ordered(by, limit=limit, skip=skip))

    assert [order(by) for by in ("name", "-name", "trace", "-trace")] == ["abc", "cba", "abc", "cba"]
    # What has none is last, whichever way; of equal ones the newest is first.
    assert [order(by) for by in ("scores", "-scores")] == ["bca", "cba"]
    assert [order(by) for by in ("task", "-task", "error")] == ["abc", "abc", "acb"]
    assert [order(by) for by in ("spans", "-spans")] == ["cab", "bac"]
    assert order("name", limit=2, skip=1) == "bc"
    assert [found.id for found in store.intake.ordered("name", task="x")] == ["a", "b"]
    monkeypatch.setattr("pytest_kaizen.store.traces.SORTED_TRACES", 2)
    assert order("name") == "ac"
