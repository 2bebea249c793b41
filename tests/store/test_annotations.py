"""Behaviours and annotations in the store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pytest_kaizen.models import Annotation, Behavior
from pytest_kaizen.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def an_annotation(trace_id: str, label: str, **fields: Any) -> Annotation:
    return Annotation(
        **{"trace_id": trace_id, "label": label, "confidence": 0.5, "created_at": NOW, **fields}
    )


def test_behaviors(store: Store) -> None:
    first = Behavior(label="loops", description="Does the same again.", created_at=NOW)
    second = Behavior(label="gives up", description="", created_at=NOW)
    assert [store.annotations.add_behavior(item) for item in (first, second)] == [True, True]
    assert not store.annotations.add_behavior(Behavior(label="loops", description="x", created_at=NOW))
    assert store.annotations.behaviors() == [second, first]


def test_annotations_by_trace_and_label(store: Store, make: Any) -> None:
    store.shelf.add([make.trace(id="one"), make.trace(id="two")])
    pairs = [("one", "loops"), ("two", "loops"), ("one", "gives up")]
    made = [an_annotation(*pair, notes="Grüße") for pair in pairs]
    assert [store.annotations.add(item) for item in made] == [True] * 3
    assert not store.annotations.add(an_annotation("nobody", "loops"))
    assert store.annotations.newest() == made[::-1]
    assert store.annotations.newest(trace_id="one") == [made[2], made[0]]
    assert store.annotations.newest(label="loops") == [made[1], made[0]]
    assert store.annotations.newest(trace_id="two", label="loops") == [made[1]]
    assert store.annotations.newest(trace_id="two", label="gives up") == []


def test_annotations_stay_with_their_trace(store: Store, make: Any) -> None:
    for trace_id in ("one", "two", "three"):
        store.shelf.add([make.trace(id=trace_id)])
        store.annotations.add(an_annotation(trace_id, "loops"))
    store.intake.put([make.trace(id="three", output="changed")])
    store.shelf.delete("one")
    assert [item.trace_id for item in store.annotations.newest()] == ["three", "two"]
    # The oldest trace goes, and what was said about it.
    assert store.retention.delete_traces(1) == 1
    assert [item.trace_id for item in store.annotations.newest()] == ["three"]
