"""Group commit: the writes of many requests in one transaction, each answered after it is on the disk.

A commit that is to survive a loss of power waits for the disk, however little it holds. So one thread
takes all the work that has come in meanwhile, does it in one transaction and answers all of it
after that one commit (DeWitt et al. 1984, "Implementation techniques for main memory database systems").
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from ..errors import StoreBusy, StoreError
from .database import Connection, Database, settle
from .store import Store

T = TypeVar("T")

#: So much waits at most; beyond it the caller had better say that it is overloaded.
_WAITING = 10_000
#: So much goes into one transaction at most, so that the first of it does not wait long.
_GROUP = 500
#: A thread that has had nothing to do for so long ends; the next work starts another.
_IDLE_S = 30.0


class _Job(NamedTuple):
    future: Future[Any]
    work: Callable[[Store], Any]


class _Undone(Exception):  # noqa: N818 - named as what happened
    """A group is to be done once more, this time with a savepoint for each of its jobs."""


class _Lost(BaseException):
    """A group cannot go on: its transaction has ended by itself.

    Args:
        reason: The error that ended it.
    """

    def __init__(self, reason: BaseException) -> None:
        self.reason = reason


class GroupWriter:
    """Writes to one database in groups, from a thread of its own.

    Args:
        database: What is written to.
        after_commit: Called, in the writer's thread, after each group that was stored.
    """

    def __init__(self, database: Database, *, after_commit: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._after_commit = after_commit
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def submit(self, work: Callable[[Store], T]) -> T:
        """Do work in a transaction; return its result when it is durable.

        Args:
            work: Reads and writes the store that it is given, and does nothing else: it may be undone
                and done again. What it raises undoes what it wrote, and is raised here.

        Raises:
            StoreBusy: Too much is waiting already.
            StoreError: The database failed; nothing was stored.
        """
        return await asyncio.wrap_future(self.enqueue(work))

    def enqueue(self, work: Callable[[Store], T]) -> Future[T]:
        """Do the same for a caller that is no coroutine; the future ends when the work is durable.

        Raises:
            StoreBusy: Too much is waiting already.
            StoreError: The writer is closed.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise StoreError("is closed", path=self._database.path)
            if len(self._waiting) >= _WAITING:
                raise StoreBusy(f"{_WAITING} writes are waiting; try again later", path=self._database.path)
            self._waiting.append(_Job(future, work))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="kaizen-writer", daemon=True)
                self._thread.start()
            self._changed.notify()
        return future

    @property
    def waiting(self) -> int:
        """How much work is waiting."""
        return len(self._waiting)

    def close(self) -> None:
        """Finish what was accepted, and accept nothing more. A second time does nothing."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify()
        if thread not in (None, threading.current_thread()):
            thread.join()

    def _run(self) -> None:
        while group := self._next():
            _do(self._database, group)
            self._after_commit()

    def _next(self) -> list[_Job]:
        """Wait for work; none when the thread is to end."""
        with self._changed:
            while not self._waiting:
                if self._closed or not self._changed.wait(_IDLE_S):
                    self._thread = None
                    return []
            count = min(len(self._waiting), _GROUP)
            return [self._waiting.popleft() for _ in range(count)]


def _do(database: Database, group: list[_Job]) -> None:
    # One that was cancelled before its turn is left out.
    group = [job for job in group if job.future.set_running_or_notify_cancel()]
    try:
        try:
            answers = _transaction(database, group, savepoints=False)
        except _Undone:
            answers = _transaction(database, group, savepoints=True)
    except BaseException as exc:
        reason = _explained(database, exc.reason if isinstance(exc, _Lost) else exc)
        for job in group:
            job.future.set_exception(reason)
        return
    for job, (result, error) in zip(group, answers, strict=True):
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)


def _explained(database: Database, exc: BaseException) -> BaseException:
    def fail() -> NoReturn:
        raise exc

    try:
        with database.explained():
            fail()
    except BaseException as explained:
        return explained


def _transaction(
    database: Database, group: list[_Job], *, savepoints: bool
) -> list[tuple[Any, Exception | None]]:
    """Do a group in one transaction; return the result or the error of each job.

    Raises:
        _Undone: A job failed that may have written, and there are no savepoints to go back to.
        _Lost: The database has ended the transaction.
        StoreError: The database failed; nothing of the group is stored.
    """
    answers: list[tuple[Any, Exception | None]] = []
    with database.write() as connection:
        joined = _Joined(database, connection, savepoints=savepoints)
        store = Store(joined)
        for job in group:
            joined.wrote = False
            try:
                with joined.undone_by_failure():
                    result = job.work(store)
            except Exception as exc:
                if not savepoints and (joined.wrote or joined.failed):
                    raise _Undone from None
                answers.append((None, exc))
            else:
                if joined.failed:
                    raise _Undone
                answers.append((result, None))
        if not savepoints:
            try:
                settle(connection)
            except Exception:
                raise _Undone from None
    return answers


class _Joined:
    """The database as a job of a group sees it: all that it reads and writes is in the group's transaction.

    Attributes:
        wrote: A write has begun since this was last set to False.
        failed: Something has failed within, and there are no savepoints to go back to.
    """

    def __init__(self, database: Database, connection: Connection, *, savepoints: bool) -> None:
        self._database = database
        self._connection = connection
        self._savepoints = savepoints
        self.wrote = False
        self.failed = False

    @property
    def path(self) -> Path | str:
        return self._database.path

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self.wrote = True
        with self.read() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        # For reading, too: PostgreSQL does nothing more in a transaction in which a statement failed.
        try:
            with self._database.explained(), self.undone_by_failure():
                yield self._connection
        except BaseException:
            self.failed = not self._savepoints
            raise

    @contextmanager
    def explained(self) -> Iterator[None]:
        with self._database.explained():
            yield

    @contextmanager
    def undone_by_failure(self) -> Iterator[None]:
        """Undo what is written within, when it fails and there are savepoints."""
        if not self._savepoints:
            yield
            return
        self._connection.execute("SAVEPOINT one")
        try:
            yield
            # Within, as rows that were put off are only now inserted, or refused.
            self._connection.execute("RELEASE SAVEPOINT one")
        except _Lost:
            raise
        except BaseException as exc:
            try:
                self._connection.execute("ROLLBACK TO SAVEPOINT one")
            except Exception:
                # After a full disk SQLite has no transaction any more, without a server nobody has.
                raise _Lost(exc) from exc
            self._connection.execute("RELEASE SAVEPOINT one")
            raise

    def alone(self, purpose: str) -> AbstractContextManager[bool]:
        return self._database.alone(purpose)

    def size(self) -> int:
        return self._database.size()

    def give_back(self) -> None:
        """Not within a transaction: whoever deletes much in a group asks the database itself."""

    def close(self) -> None:
        """The group's transaction ends by itself."""
