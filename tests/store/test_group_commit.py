"""Writes in groups: each durable when it is answered, none harmed by another that fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from pytest_kaizen.errors import StoreBusy, StoreError
from pytest_kaizen.models import PromptVersion, Score, ScoreSource, Trace
from pytest_kaizen.store import Store, group_commit
from pytest_kaizen.store.database import Connection
from pytest_kaizen.store.group_commit import GroupWriter
from pytest_kaizen.store.workspaces import OpenWorkspace

SCORE = Score(name="kind", value=1.0, source=ScoreSource.HUMAN)


class Gate:
    """Holds the writer back until everything of a group is waiting; counts the transactions."""

    def __init__(self, workspace: OpenWorkspace) -> None:
        self.transactions = 0
        self.database = workspace._database
        self._write = self.database.write

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self.transactions += 1
        with self._write() as connection:
            yield connection


@pytest.fixture
def gate(workspace: OpenWorkspace, monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate(workspace)
    monkeypatch.setattr(gate.database, "write", gate.write)
    return gate


def hold(workspace: OpenWorkspace) -> Callable[[], None]:
    """Keep the writer from going on until what is returned is called."""
    held, begun = threading.Event(), threading.Event()

    def work(_: Store) -> None:
        begun.set()
        held.wait()

    workspace.writer.enqueue(work)
    begun.wait()
    return held.set


def together(workspace: OpenWorkspace, *works: Callable[[Store], Any]) -> list[Future[Any]]:
    """Have works done as one group."""
    let_go = hold(workspace)
    futures = [workspace.writer.enqueue(work) for work in works]
    let_go()
    return futures


def adding(*traces: Trace) -> Callable[[Store], list[str]]:
    return lambda store: store.shelf.add(traces)


def test_many_writes_are_one_transaction(workspace: OpenWorkspace, gate: Gate, make: Any) -> None:
    traces = [make.trace() for _ in range(20)]
    futures = together(workspace, *[adding(trace) for trace in traces])
    assert [future.result() for future in futures] == [[trace.id] for trace in traces]
    # The first is the one that held them back.
    assert gate.transactions == 2
    assert workspace.store.traces() == traces[::-1]


def test_one_that_fails_is_undone_and_the_others_are_stored(workspace: OpenWorkspace, make: Any) -> None:
    good, bad, last = make.trace(), make.trace(), make.trace()

    def spoiled(store: Store) -> None:
        store.shelf.add([bad])
        store.add_score("nowhere", SCORE)

    def tolerant(store: Store) -> str:
        with pytest.raises(StoreError, match="no trace 'nowhere'"):
            store.add_score("nowhere", SCORE)
        store.shelf.add([last])
        return "done"

    futures = together(workspace, adding(good), spoiled, tolerant, lambda _: 1 // 0)
    assert futures[0].result() == [good.id]
    with pytest.raises(StoreError, match="no trace 'nowhere'"):
        futures[1].result()
    assert futures[2].result() == "done"
    with pytest.raises(ZeroDivisionError):
        futures[3].result()
    assert workspace.store.traces() == [last, good]


def test_the_last_of_a_group_is_undone_like_any_other(workspace: OpenWorkspace, make: Any) -> None:
    good, bad = make.trace(), make.trace()

    def spoiled(store: Store) -> None:
        store.shelf.add([bad])
        raise ValueError("after all")

    futures = together(workspace, adding(good), spoiled)
    assert futures[0].result() == [good.id]
    with pytest.raises(ValueError, match="after all"):
        futures[1].result()
    assert workspace.store.traces() == [good]


def test_half_a_write_whose_error_was_swallowed_is_undone(workspace: OpenWorkspace, make: Any) -> None:
    old = PromptVersion(task="sum", version=2, sha256="a", text="a")
    workspace.store.save_prompts([old])
    trace = make.trace()

    def half(store: Store) -> str:
        store.shelf.add([trace])
        new = [old.model_copy(update={"version": number, "sha256": "b"}) for number in (1, 2)]
        with suppress(StoreError):
            store.save_prompts(new)
        return "done"

    assert workspace.writer.enqueue(half).result() == "done"
    assert workspace.store.prompts() == [old]
    assert workspace.store.traces() == [trace]


def test_a_read_whose_error_was_swallowed_does_no_harm(workspace: OpenWorkspace, make: Any) -> None:
    """On PostgreSQL it would spoil what follows in the transaction."""
    trace = make.trace()

    def unreadable(store: Store) -> list[str]:
        with suppress(StoreError), store._database.read() as connection:
            connection.execute("SELECT nothing FROM nowhere")
        return store.shelf.add([trace])

    assert workspace.writer.enqueue(unreadable).result() == [trace.id]
    assert workspace.store.traces() == [trace]


def test_a_broken_rule_of_the_schema_harms_nobody_else(workspace: OpenWorkspace, make: Any) -> None:
    """On PostgreSQL a statement that fails spoils its whole transaction."""
    first, second = make.trace(), make.trace()

    def broken(store: Store) -> None:
        with store._database.write() as connection:
            connection.execute("INSERT INTO spans (trace) VALUES (1)")

    def unreadable(store: Store) -> str:
        try:
            with store._database.read() as connection:
                connection.execute("SELECT nothing FROM nowhere")
        except StoreError:
            return "caught"
        return "not raised"

    futures = together(
        workspace,
        adding(first),
        broken,
        unreadable,
        adding(second),
    )
    assert futures[0].result() == [first.id]
    with pytest.raises(StoreError, match="the database failed"):
        futures[1].result()
    assert futures[2].result() == "caught"
    assert futures[3].result() == [second.id]
    assert workspace.store.traces() == [second, first]


def test_rows_that_break_a_rule_undo_all_of_their_job(workspace: OpenWorkspace, make: Any) -> None:
    """On PostgreSQL the rows are inserted, and refused, only when what put them off is over."""
    good, half, last = make.trace(), make.trace(), make.trace()

    def broken(store: Store) -> None:
        store.shelf.add([half])
        with store._database.write() as connection:
            connection.executemany("INSERT INTO spans (trace, position) VALUES (?, ?)", [(-1, 0)])

    futures = together(workspace, adding(good), broken, adding(last))
    assert futures[0].result() == [good.id]
    with pytest.raises(StoreError, match="the database failed"):
        futures[1].result()
    assert futures[2].result() == [last.id]
    assert workspace.store.traces() == [last, good]


def test_rows_before_a_statement_that_fails_harm_nobody_else(workspace: OpenWorkspace, make: Any) -> None:
    """On PostgreSQL they are put off, and cannot be inserted any more."""
    good, last = make.trace(), make.trace()

    def broken(store: Store) -> None:
        store.shelf.add([make.trace()])
        with store._database.write() as connection:
            connection.executemany("INSERT INTO spans (trace, position) VALUES (?, ?)", [(-1, 0)])
            connection.execute("INSERT INTO spans (trace) VALUES (?)", (-1,))

    futures = together(workspace, adding(good), broken, adding(last))
    assert futures[0].result() == [good.id]
    with pytest.raises(StoreError, match="the database failed"):
        futures[1].result()
    assert futures[2].result() == [last.id]
    assert workspace.store.traces() == [last, good]


def test_a_job_sees_what_those_before_it_wrote(workspace: OpenWorkspace, make: Any) -> None:
    trace = make.trace()
    futures = together(workspace, adding(trace), lambda store: store.add_score(trace.id, SCORE))
    assert [future.result() for future in futures] == [[trace.id], None]
    assert workspace.store.trace(trace.id).scores[-1] == SCORE


def test_a_commit_that_fails_answers_none_of_its_group(
    workspace: OpenWorkspace, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = workspace._database.write

    @contextmanager
    def failing() -> Iterator[Connection]:
        with write() as connection:
            yield connection
            raise StoreError("the disk is gone")

    monkeypatch.setattr(workspace._database, "write", failing)
    future = workspace.writer.enqueue(adding(make.trace()))
    with pytest.raises(StoreError, match="the disk is gone"):
        future.result()
    monkeypatch.undo()
    assert workspace.store.traces() == []
    assert workspace.writer.enqueue(lambda store: len(store.traces())).result() == 0


async def submit_many(workspace: OpenWorkspace, make: Any) -> list[list[str]]:
    traces = [make.trace() for _ in range(50)]
    return await asyncio.gather(*(workspace.writer.submit(adding(trace)) for trace in traces))


def test_coroutines_wait_for_their_own(workspace: OpenWorkspace, make: Any) -> None:
    answers = asyncio.run(submit_many(workspace, make))
    assert len({trace_id for (trace_id,) in answers}) == 50
    assert {trace.id for trace in workspace.store.traces()} == {trace_id for (trace_id,) in answers}


def test_what_was_cancelled_before_its_turn_is_not_done(workspace: OpenWorkspace, make: Any) -> None:
    let_go = hold(workspace)
    future = workspace.writer.enqueue(adding(make.trace()))
    assert future.cancel()
    let_go()
    assert workspace.writer.enqueue(lambda store: store.traces()).result() == []


def test_too_much_at_once_is_refused(workspace: OpenWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_WAITING", 1)
    let_go = hold(workspace)
    waiting = workspace.writer.enqueue(lambda _: "done")
    assert workspace.writer.waiting == 1
    with pytest.raises(StoreBusy, match="1 writes are waiting; try again later"):
        workspace.writer.enqueue(lambda _: None)
    let_go()
    assert waiting.result() == "done"


def test_closing_finishes_what_was_accepted(workspace: OpenWorkspace, make: Any) -> None:
    traces = [make.trace() for _ in range(5)]
    futures = together(workspace, *[adding(trace) for trace in traces])
    workspace.writer.close()
    workspace.writer.close()
    assert all(future.done() for future in futures)
    assert len(workspace.store.traces()) == 5
    with pytest.raises(StoreError, match="is closed"):
        workspace.writer.enqueue(lambda _: None)


def test_an_idle_thread_ends_and_another_takes_over(
    workspace: OpenWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_IDLE_S", 0.01)
    writer = GroupWriter(workspace._database)
    assert writer.enqueue(lambda _: 1).result() == 1
    thread = writer._thread
    if thread is not None:
        thread.join()
    assert writer._thread is None
    assert writer.enqueue(lambda _: 2).result() == 2
    writer.close()
