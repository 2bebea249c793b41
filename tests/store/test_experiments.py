"""Experiments, and the traces that belong to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.models import Experiment, Score, ScoreSource
from pytest_kaizen.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_experiments(store: Store) -> None:
    first = Experiment(name="one", correlation_ids=["a", "b"], created_at=NOW)
    second = Experiment(name="one", correlation_ids=[], created_at=NOW)
    for experiment in (first, second):
        store.experiments.add(experiment)
    assert store.experiments.newest() == [second, first]
    assert store.experiments.one(first.id) == first
    assert store.experiments.one("nobody") is None
    with pytest.raises(StoreError):
        store.experiments.add(first)


def test_traces_by_their_correlation_id(store: Store, make: Any) -> None:
    odd = {"correlationId": 7}
    one = make.trace(id="t1", metadata={"correlationId": "a"})
    two = make.trace(id="t2", metadata={"correlationId": "a"})
    three = make.trace(id="t3", metadata={"correlationId": "b"})
    own, number = make.trace(id="t4"), make.trace(id="t5", metadata=odd)
    store.shelf.add([one, two, three, own, number])
    found = store.experiments.traces

    def ids(*given: str) -> list[str]:
        return [trace.id for trace in found(given)]

    assert ids("a") == ["t2", "t1"]
    assert ids("b", "a", "a", "unknown") == ["t3", "t2", "t1"]
    # A trace without a correlation id is found by its own; one that has another is not.
    assert ids("t4", "t5", "t1") == ["t5", "t4"]
    assert found(["b"]) == [three]


def test_a_correlation_id_may_come_change_and_go(store: Store, make: Any) -> None:
    trace = make.trace(id="t")
    store.intake.put([trace])

    def where() -> list[str]:
        return [given for given in ("a", "b", "t") if store.experiments.traces([given])]

    found = [where()]
    for metadata in ({"correlationId": "a"}, {"correlationId": "b"}, {}):
        store.intake.put([trace.model_copy(update={"metadata": metadata})])
        found.append(where())
    assert found == [["t"], ["a"], ["b"], ["t"]]


def test_mean_scores(store: Store, make: Any) -> None:
    def scored(trace_id: str, *values: float | None, **metadata: str) -> None:
        scores = [
            Score(
                name="kind", value=value, error="broke" if value is None else None, source=ScoreSource.CHECK
            )
            for value in values
        ]
        other = Score(name="brief", value=1.0, source=ScoreSource.CHECK)
        store.shelf.add([make.trace(id=trace_id, scores=[*scores, other], metadata=metadata)])

    # The last value counts, and what broke has none.
    scored("t1", 0.0, 0.5, None, correlationId="a")
    scored("t2", 1.0, correlationId="a")
    scored("t3", 0.0, correlationId="b")
    scored("t4", 0.25)
    means = store.experiments.mean_scores
    assert means(["a"]) == {"brief": 1.0, "kind": 0.75}
    assert means(["b", "t4", "b"]) == {"brief": 1.0, "kind": 0.125}
    assert means(["t1", "unknown"]) == means([]) == {}
