from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_kaizen.models import Sample, Score, ScoreSource, Span, Trace
from pytest_kaizen.store import Store
from tests.store.conftest import Make

NOW = datetime(2026, 3, 30, tzinfo=UTC)


def trace(trace_id: str = "t1", *spans: str, output: str = "out") -> Trace:
    made = [Span(id=name, name=name, started_at=NOW) for name in spans]
    return Trace(id=trace_id, name="call", created_at=NOW, output=output, spans=made)


def test_a_trace_of_no_case(store: Store) -> None:
    given = trace("t1", "a", "b")
    given.scores.append(Score(name="s", value=0.5, source=ScoreSource.SDK))
    store.intake.add([given, trace("t2")])
    assert store.intake.one("t1") == given
    assert [found.id for found in store.traces()] == ["t2", "t1"]


def test_one_that_is_there_stays(store: Store) -> None:
    store.intake.add([trace("t1", "a"), trace("t1", output="other")])
    store.intake.add([trace("t1", output="third")])
    assert store.intake.one("t1") == trace("t1", "a")


def test_a_trace_in_parts(store: Store) -> None:
    def more(known: Trace | None) -> Trace:
        assert known is not None
        return known.model_copy(update={"spans": [*known.spans, *trace("t1", "b").spans], "output": "both"})

    store.intake.add([trace("t1", "a")])
    store.intake.merge([("t1", more)])
    assert store.intake.one("t1") == trace("t1", "a", "b", output="both")
    assert len(store.traces()) == 1


def test_all_of_it_or_nothing(store: Store) -> None:
    def fails(_known: Trace | None) -> Trace:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.intake.merge([("t1", lambda _: trace("t1")), ("t2", fails)])
    assert store.intake.one("t1") is None


def test_a_whole_id_is_meant(store: Store) -> None:
    store.intake.add([trace("abc")])
    assert store.intake.one("ab") is None
    assert store.intake.one("last") is None


def test_a_sample_stays_a_sample(store: Store, make: Make) -> None:
    run, case = make.run(), make.case()
    store.start_run(run)
    sample = Sample(trace=trace("t1", "a"), passed=True, metrics={"score": 1.0})
    store.add_sample(case, sample, begins=True)
    store.intake.merge([("t1", lambda _: trace("t1", "a", output="changed"))])
    (found,) = store.cases(run.id)[0].samples
    assert found == sample.model_copy(update={"trace": trace("t1", "a", output="changed")})
