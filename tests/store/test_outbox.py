"""The outbox: rows in the transaction of what they are about, in order, bounded, never lost."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.models import BackendState, OutboxRow, ParcelKind
from pytest_kaizen.store import Store

EVERYTHING = frozenset(ParcelKind)
LATER = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def owing(where: Path | str) -> Iterator[Store]:
    with Store.open(where, recipients={"kate": EVERYTHING, "otlp": {ParcelKind.SAMPLE}}) as store:
        yield store


def a_run(store: Store, make: Any, run_id: str = "run-1", samples: int = 2) -> None:
    run, case = make.run(run_id), make.case(run_id=run_id)
    store.start_run(run)
    for number in range(samples):
        sample = make.sample()
        sample.trace.sample = number
        store.add_sample(case, sample, begins=number == 0)
    store.finish_case(case)
    store.finish_run(run, weak=["sum"])


def kinds(rows: list[OutboxRow]) -> list[str]:
    return [row.kind.value for row in rows]


def test_each_backend_is_owed_what_it_wants_in_order(owing: Store, make: Any) -> None:
    a_run(owing, make)
    rows = owing.outbox.batch("kate", 10)
    assert kinds(rows) == ["run begun", "sample", "sample", "case finished", "run finished"]
    assert kinds(owing.outbox.batch("otlp", 10)) == ["sample", "sample"]
    assert owing.outbox.batch("kayba", 10) == []
    assert [row.weak for row in rows] == [(), (), (), (), ("sum",)]
    assert [row.number for row in rows] == sorted(row.number for row in rows)
    keys = [row.key for row in rows]
    assert len(set(keys)) == 5
    assert keys[1] == rows[1].trace_id
    assert keys[0] == "run-1.begun"
    assert all(key.isascii() and key.isprintable() and " " not in key for key in keys)


def test_without_recipients_nothing_is_owed(store: Store, make: Any) -> None:
    a_run(store, make)
    assert store.outbox.states() == []


def test_a_batch_is_of_the_oldest_run_alone(owing: Store, make: Any) -> None:
    a_run(owing, make, "run-1")
    a_run(owing, make, "run-2")
    rows = owing.outbox.batch("kate", 3)
    assert [row.run_id for row in rows] == ["run-1"] * 3
    owing.outbox.settle("kate", "run-1", {}, acknowledged=owing.outbox.batch("kate", 10))
    assert {row.run_id for row in owing.outbox.batch("kate", 10)} == {"run-2"}


def test_a_sample_that_cannot_be_stored_is_not_owed(owing: Store, make: Any) -> None:
    with pytest.raises(StoreError, match="was never started"):
        owing.add_sample(make.case(), make.sample())
    assert owing.outbox.states() == []


def test_what_is_handed_over_twice_is_owed_once(owing: Store, make: Any) -> None:
    owing.start_run(make.run())
    sample = make.sample()
    owing.add_sample(make.case(), sample, begins=True)
    owing.add_sample(make.case(), sample)
    assert kinds(owing.outbox.batch("otlp", 10)) == ["sample"]


def test_a_case_that_runs_again_is_owed_again(owing: Store, make: Any) -> None:
    owing.start_run(make.run())
    owing.finish_case(make.case(), begins=True)
    owing.finish_case(make.case(outcome="failed"), begins=True)
    rows = owing.outbox.batch("kate", 10)
    assert kinds(rows) == ["run begun", "case finished", "case finished"]


def test_contents_are_read_when_they_are_asked_for(owing: Store, make: Any) -> None:
    a_run(owing, make)
    found = owing.outbox.contents(owing.outbox.batch("kate", 10))
    assert [content.run.id for content in found] == ["run-1"] * 5
    assert found[0].case is None
    first, second, whole = (content.case for content in found[1:4])
    assert first is not None
    assert second is not None
    assert [[s.trace.sample for s in case.samples] for case in (first, second)] == [[0], [1]]
    assert [s.trace.id for s in first.samples] == [found[1].row.trace_id]
    assert whole is not None
    assert [s.trace.sample for s in whole.samples] == [0, 1]
    assert whole.complete


def test_what_is_gone_from_the_store_has_no_content(owing: Store, make: Any) -> None:
    a_run(owing, make)
    rows = owing.outbox.batch("otlp", 10)
    with owing._database.write() as connection:
        for table in ("spans", "scores"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("DELETE FROM traces WHERE id = ?", (rows[0].trace_id,))
    assert [content.row for content in owing.outbox.contents(rows)] == [rows[1]]


def test_what_a_backend_knows_of_a_run_is_kept(owing: Store, make: Any) -> None:
    a_run(owing, make)
    assert owing.outbox.remote("kate", "run-1") == {}
    owing.outbox.settle("kate", "run-1", {"run": "K1", "spans": [1, 2]})
    owing.outbox.settle("kate", "run-1", {"run": "K1", "spans": [3]})
    assert owing.outbox.remote("kate", "run-1") == {"run": "K1", "spans": [3]}
    assert owing.outbox.remote("otlp", "run-1") == {}
    assert owing.outbox.state("kate").owed == 5


def test_states(owing: Store, make: Any) -> None:
    a_run(owing, make)
    rows = owing.outbox.batch("kate", 10)
    owing.outbox.settle("kate", "run-1", {}, acknowledged=rows[:2], set_aside={rows[2]: "422: no"})
    owing.outbox.postpone("kate", "no connection", LATER, 3, tried=[rows[3]])
    assert owing.outbox.states() == [
        BackendState(
            backend="kate",
            owed=2,
            acknowledged=2,
            set_aside=1,
            failures=3,
            next_at=LATER,
            reason="no connection",
            refused=("422: no",),
        ),
        BackendState(backend="otlp", owed=2),
    ]
    assert owing.outbox.state("kayba") == BackendState(backend="kayba")
    left = owing.outbox.batch("kate", 10)
    assert [(row.attempts, row.reason) for row in left] == [(1, "no connection"), (0, None)]


def test_what_was_set_aside_is_owed_again_in_its_place(owing: Store, make: Any) -> None:
    a_run(owing, make)
    rows = owing.outbox.batch("kate", 10)
    owing.outbox.settle("kate", "run-1", {}, acknowledged=rows[:1], set_aside={rows[2]: "422: no"})
    assert owing.outbox.batch("kate", 10) == [rows[1], *rows[3:]]
    assert owing.outbox.owe_again() == 1
    assert owing.outbox.batch("kate", 10) == rows[1:]
    assert owing.outbox.state("kate").refused == ()
    assert owing.outbox.owe_again() == 0


def test_what_arrives_ends_a_pause(owing: Store, make: Any) -> None:
    a_run(owing, make)
    owing.outbox.postpone("kate", "no connection", LATER, 3)
    owing.outbox.settle("kate", "run-1", {})
    assert owing.outbox.state("kate").failures == 3
    owing.outbox.settle("kate", "run-1", {}, acknowledged=owing.outbox.batch("kate", 1))
    state = owing.outbox.state("kate")
    assert (state.failures, state.next_at, state.reason) == (0, None, None)


def test_the_oldest_that_arrived_go_first_and_what_is_owed_stays(owing: Store, make: Any) -> None:
    for number in (1, 2, 3):
        a_run(owing, make, f"run-{number}")
    for number in (1, 2):
        rows = [row for row in owing.outbox.batch("kate", 10) if row.run_id == f"run-{number}"]
        owing.outbox.settle("kate", f"run-{number}", {"of": number}, acknowledged=rows)
    owing.outbox.trim(limit=16)
    assert [(s.backend, s.owed, s.acknowledged) for s in owing.outbox.states()] == [
        ("kate", 5, 5),
        ("otlp", 6, 0),
    ]
    assert owing.outbox.remote("kate", "run-1") == {}
    assert owing.outbox.remote("kate", "run-2") == {"of": 2}
    owing.outbox.trim(limit=0)
    assert [(s.backend, s.owed, s.acknowledged) for s in owing.outbox.states()] == [
        ("kate", 5, 0),
        ("otlp", 6, 0),
    ]


def test_one_process_at_a_time_sends(owing: Store, where: Path | str) -> None:
    with Store.open(where) as other, owing.outbox.sending() as ours:
        assert ours
        with other.outbox.sending() as theirs:
            assert not theirs
    with owing.outbox.sending() as again:
        assert again


def test_who_dies_sends_no_more(owing: Store, where: Path | str) -> None:
    script = (
        "import os, sys; from pytest_kaizen.store import Store; "
        "sending = Store.open(sys.argv[1]).outbox.sending(); os._exit(0 if sending.__enter__() else 1)"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", script, f"sqlite:///{where}" if isinstance(where, Path) else where],
            check=False,
        ).returncode
        == 0
    )
    # PostgreSQL lets go of a dead client's lock when it has noticed that the client is gone.
    deadline = time.monotonic() + 60
    while True:
        with owing.outbox.sending() as ours:
            pass
        if ours or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    assert ours


def test_a_long_reason_is_cut_and_half_a_character_replaced(owing: Store, make: Any) -> None:
    a_run(owing, make)
    [row] = owing.outbox.batch("otlp", 1)
    owing.outbox.settle("otlp", "run-1", {}, set_aside={row: "\ud83d" + "x" * 2000})
    (reason,) = owing.outbox.state("otlp").refused
    assert reason == "\ufffd" + "x" * 499
