"""Answers kept under the key of their request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.store import Store
from pytest_kaizen.store.intake import Answered, KeyReused
from pytest_kaizen.store.workspaces import OpenWorkspace

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def once(store: Store, key: str, request: str, body: str, now: datetime = NOW) -> Answered:
    return store.idempotency.once(
        key, request, now=now, expires_at=now + DAY, work=lambda: Answered(request, 201, body)
    )


def test_the_first_answer_stays_until_it_expires(store: Store) -> None:
    first = once(store, "k", "r", "first")
    assert first == Answered("r", 201, "first")
    assert once(store, "k", "r", "second", NOW + DAY - timedelta(seconds=1)) == first
    assert once(store, "other", "r", "third").body == "third"
    assert once(store, "k", "r", "late", NOW + DAY).body == "late"
    assert store.idempotency.find("k", NOW + DAY) == Answered("r", 201, "late")


def test_another_request_under_the_same_key(store: Store) -> None:
    once(store, "k", "r", "first")
    with pytest.raises(KeyReused, match="this Idempotency-Key came with another request before"):
        once(store, "k", "another", "second")


def test_what_has_expired_is_removed(store: Store) -> None:
    once(store, "old", "r", "x")
    once(store, "new", "r", "x", NOW + DAY)
    assert store.idempotency.forget(NOW + DAY) == 1
    assert store.idempotency.find("old", NOW) is None
    assert store.idempotency.find("new", NOW + DAY) is not None


def test_work_and_its_answer_are_stored_together_or_not_at_all(workspace: OpenWorkspace, make: Any) -> None:
    trace = make.trace()

    def ingest(store: Store, *, fail: bool) -> Answered:
        def work() -> Answered:
            store.shelf.add([trace])
            return Answered("r", 201, "stored")

        answer = store.idempotency.once("k", "r", now=NOW, expires_at=NOW + DAY, work=work)
        if fail:
            raise StoreError("after all")
        return answer

    with pytest.raises(StoreError, match="after all"):
        workspace.writer.enqueue(lambda store: ingest(store, fail=True)).result()
    assert workspace.store.traces() == []
    assert workspace.store.idempotency.find("k", NOW) is None
    for _ in range(2):
        assert workspace.writer.enqueue(lambda store: ingest(store, fail=False)).result().body == "stored"
    assert workspace.store.traces() == [trace]
