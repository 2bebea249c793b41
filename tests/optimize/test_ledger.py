"""The ledger in memory and the ledger in the store behave alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_kaizen.models import Feedback, RolloutKey, Scored
from pytest_kaizen.optimize import Ledger, MemoryLedger
from pytest_kaizen.store import Store

KEY = RolloutKey("p" * 64, "t.py::test#abc", 0, "m", "r" * 64)
SCORED = Scored(
    case_id="t.py::test",
    score=0.25,
    output="so",
    feedback=(Feedback(criterion="good", score=0.25, expected="a", observed="b", reason="\ud800"),),
    objectives={"good": 0.25},
    trace_id="t1",
    cost_usd=0.5,
)


@pytest.fixture(params=["memory", "store"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
    else:
        with Store.open(tmp_path / "kaizen.db") as store:
            yield store


def test_a_rollout_is_found_again_and_the_first_one_stays(ledger: Ledger) -> None:
    assert ledger.rollout(KEY) is None
    ledger.save_rollout(KEY, SCORED)
    ledger.save_rollout(KEY, SCORED.model_copy(update={"score": 1.0}))
    assert ledger.rollout(KEY) == SCORED


@pytest.mark.parametrize("part", RolloutKey._fields)
def test_every_part_of_the_key_counts(ledger: Ledger, part: str) -> None:
    ledger.save_rollout(KEY, SCORED)
    other = {**KEY._asdict(), part: 7 if part == "sample" else "other"}
    assert ledger.rollout(RolloutKey(**other)) is None


def test_a_reflection_is_found_again_and_the_first_one_stays(ledger: Ledger) -> None:
    assert ledger.reflection("k") is None
    ledger.save_reflection("k", {"lessons": [{"rule": "ü"}]})
    ledger.save_reflection("k", {"lessons": []})
    assert ledger.reflection("k") == {"lessons": [{"rule": "ü"}]}


def test_looks_are_counted_by_task_and_the_same_look_is_one(ledger: Ledger) -> None:
    assert ledger.look("a", "p", "c1") == 1
    assert ledger.look("a", "p", "c2") == 2
    assert ledger.look("a", "p", "c1") == 1
    assert ledger.look("a", "q", "c1") == 3
    assert ledger.look("b", "p", "c1") == 1


def test_a_later_process_finds_it_all(tmp_path: Path) -> None:
    path = tmp_path / "kaizen.db"
    with Store.open(path) as store:
        store.save_rollout(KEY, SCORED)
        store.save_reflection("k", [1])
        store.look("a", "p", "c1")
    with Store.open(path) as store:
        assert store.rollout(KEY) == SCORED
        assert store.reflection("k") == [1]
        assert store.look("a", "p", "c2") == 2
