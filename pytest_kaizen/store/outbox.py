"""The outbox: rows that say what which backend is still owed.

A row is a reference; what it brings is read when it is sent. It is written in the transaction that
stores what it is about, so that neither is there without the other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from ..models import BackendState, Case, OutboxRow, OutboxState, ParcelKind, Remote, Run
from . import runs, traces
from .table import key as storable
from .table import storable_json, utc_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .database import Connection, Database

#: Rows that are kept; what is acknowledged goes first, what is owed never.
MAX_ROWS = 20_000
_REASONS = 3
_LONGEST_REASON = 500
_FIELDS = ("number", "backend", "run_id", "kind", "case_id", "trace_id", "key", "weak", "attempts", "reason")
_INSERT = (
    "INSERT INTO outbox (backend, run_id, kind, case_id, trace_id, key, weak, state, attempts) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, 'owed', 0) ON CONFLICT (backend, key) DO NOTHING"
)
OLDEST = "SELECT run_id FROM outbox WHERE backend = ? AND state = 'owed' ORDER BY number LIMIT 1"
OF_RUN = (
    f"SELECT {', '.join(_FIELDS)} FROM outbox "
    "WHERE backend = ? AND run_id = ? AND state = 'owed' ORDER BY number LIMIT ?"
)
REASONS = "SELECT reason FROM outbox WHERE backend = ? AND state = 'set aside' ORDER BY number DESC LIMIT 100"
_KEEP_REMOTE = (
    "INSERT INTO outbox_runs (backend, run_id, remote) VALUES (?, ?, ?) "
    "ON CONFLICT (backend, run_id) DO UPDATE SET remote = excluded.remote"
)
_KEEP_FAILURE = (
    "INSERT INTO outbox_backends (backend, failures, next_at, reason) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (backend) DO UPDATE SET failures = excluded.failures, next_at = excluded.next_at, "
    "reason = excluded.reason"
)


class Content(NamedTuple):
    """What a row brings.

    Attributes:
        case: Of a sample the case with that sample alone, of a case the whole; else None.
    """

    row: OutboxRow
    run: Run
    case: Case | None


class Outbox:
    """What is owed to which backend.

    Args:
        database: The store's.
        recipients: What each backend wants of the runs that this store is given.
    """

    def __init__(self, database: Database, recipients: Mapping[str, Collection[ParcelKind]]) -> None:
        self._database = database
        self._recipients = recipients

    def owe(
        self,
        connection: Connection,
        kind: ParcelKind,
        run_id: str,
        *,
        case_id: str | None = None,
        attempt: int = 1,
        trace_id: str | None = None,
        weak: Sequence[str] = (),
    ) -> None:
        """Note in a transaction of the store what is owed now; a second time changes nothing."""
        for backend, kinds in self._recipients.items():
            if kind in kinds:
                key = _row_key(kind, run_id, case_id, attempt, trace_id)
                names = (_text(run_id), kind.value, _text(case_id), _text(trace_id))
                connection.execute(_INSERT, (backend, *names, key, storable_json(list(weak))))

    def batch(self, backend: str, limit: int) -> list[OutboxRow]:
        """Return the oldest rows owed to a backend that are of one run, in order."""
        with self._database.read() as connection:
            found = connection.execute(OLDEST, (backend,)).fetchone()
            if found is None:
                return []
            rows = connection.execute(OF_RUN, (backend, found[0], limit)).fetchall()
        return [_row(row) for row in rows]

    def contents(self, rows: Sequence[OutboxRow]) -> list[Content]:
        """Read what rows of one run bring; those whose content is no longer there are left out."""
        found: list[Content] = []
        with self._database.read() as connection:
            number = runs.number_of(connection, rows[0].run_id) if rows else None
            if number is None:
                return []
            run = runs.one(connection, number)
            for row in rows:
                case = _case(connection, number, row)
                if case is not None or row.case_id is None:
                    found.append(Content(row, run, case))
        return found

    def remote(self, backend: str, run_id: str) -> Remote:
        """Return what a backend knows about a run at its platform."""
        query = "SELECT remote FROM outbox_runs WHERE backend = ? AND run_id = ?"
        with self._database.read() as connection:
            found = connection.execute(query, (backend, _text(run_id))).fetchone()
        remote: Remote = {} if found is None else json.loads(found[0])
        return remote

    def settle(
        self,
        backend: str,
        run_id: str,
        remote: Remote,
        *,
        acknowledged: Sequence[OutboxRow] = (),
        set_aside: Mapping[OutboxRow, str] | None = None,
    ) -> None:
        """Note which rows of a run arrived, and which ones will not be sent again and why."""
        with self._database.write() as connection:
            connection.execute(_KEEP_REMOTE, (backend, _text(run_id), storable_json(remote)))
            arrived = "UPDATE outbox SET state = 'acknowledged', reason = NULL WHERE number = ?"
            connection.executemany(arrived, [(row.number,) for row in acknowledged])
            aside = (
                "UPDATE outbox SET state = 'set aside', attempts = attempts + 1, reason = ? WHERE number = ?"
            )
            given = [(_reason(why), row.number) for row, why in (set_aside or {}).items()]
            connection.executemany(aside, given)
            if acknowledged or set_aside:
                connection.execute(_KEEP_FAILURE, (backend, 0, None, None))

    def postpone(
        self, backend: str, reason: str, next_at: datetime, failures: int, tried: Sequence[OutboxRow] = ()
    ) -> None:
        """Note that a backend takes nothing now.

        Args:
            backend: The backend.
            reason: Why.
            next_at: Before then, nothing is to be sent of its own account.
            failures: How often in a row that was so.
            tried: Rows that may be the reason.
        """
        with self._database.write() as connection:
            connection.execute(_KEEP_FAILURE, (backend, failures, utc_text(next_at), _reason(reason)))
            query = "UPDATE outbox SET attempts = attempts + 1, reason = ? WHERE number = ?"
            connection.executemany(query, [(_reason(reason), row.number) for row in tried])

    def owe_again(self) -> int:
        """Owe what was set aside once more, as if it had never been sent; return how many rows."""
        query = "UPDATE outbox SET state = 'owed', attempts = 0, reason = NULL WHERE state = 'set aside'"
        with self._database.write() as connection:
            return len(connection.execute(f"{query} RETURNING number").fetchall())

    def states(self) -> list[BackendState]:
        """Return how each backend stands that is or was owed something, by name."""
        counted = "SELECT backend, state, count(*) FROM outbox GROUP BY backend, state ORDER BY backend"
        with self._database.read() as connection:
            counts: dict[str, dict[str, int]] = {}
            for backend, state, count in connection.execute(counted).fetchall():
                counts.setdefault(backend, {})[OutboxState(state).name.lower()] = count
            failed = connection.execute("SELECT backend, failures, next_at, reason FROM outbox_backends")
            failures = {backend: rest for backend, *rest in failed.fetchall()}
            reasons = {name: connection.execute(REASONS, (name,)).fetchall() for name in counts}
        return [
            BackendState(
                backend=name,
                **found,
                **dict(
                    zip(("failures", "next_at", "reason"), failures.get(name, (0, None, None)), strict=True)
                ),
                refused=tuple(dict.fromkeys(row[0] for row in reasons[name]))[:_REASONS],
            )
            for name, found in counts.items()
        ]

    def state(self, backend: str) -> BackendState:
        """Return how one backend stands."""
        found = (state for state in self.states() if state.backend == backend)
        return next(found, BackendState(backend=backend))

    def trim(self, limit: int = MAX_ROWS) -> None:
        """Keep the outbox to a number of rows: drop the oldest of those that arrived."""
        with self._database.write() as connection:
            surplus = connection.execute("SELECT count(*) FROM outbox").fetchone()[0] - limit
            if surplus > 0:
                oldest = "SELECT number FROM outbox WHERE state = 'acknowledged' ORDER BY number LIMIT ?"
                connection.execute(f"DELETE FROM outbox WHERE number IN ({oldest})", (surplus,))
                rows = "SELECT 1 FROM outbox WHERE outbox.backend = r.backend AND outbox.run_id = r.run_id"
                connection.execute(f"DELETE FROM outbox_runs AS r WHERE NOT EXISTS ({rows})")

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """Hold the right to send what is owed; the value says whether this process has it.

        One process at a time, so that nothing is sent twice at once; it ends with the process.
        """
        with self._database.alone("sending") as held:
            yield held


def _case(connection: Connection, run: int, row: OutboxRow) -> Case | None:
    if row.case_id is None:
        return None
    if row.trace_id is None:
        return runs.one_case(connection, run, row.run_id, row.case_id)
    sample = traces.sample(connection, _text(row.trace_id) or "")
    found = sample and runs.one_case(connection, run, row.run_id, row.case_id, whole=False)
    return found.model_copy(update={"samples": [sample]}) if found else None


def _row(values: Sequence[object]) -> OutboxRow:
    fields = dict(zip(_FIELDS, values, strict=True))
    return OutboxRow.model_validate({**fields, "weak": json.loads(str(fields["weak"]))})


def _row_key(kind: ParcelKind, run_id: str, case_id: str | None, attempt: int, trace_id: str | None) -> str:
    """Name what a row brings in visible ASCII, as the header ``Idempotency-Key`` takes it."""
    if trace_id is not None:
        name = trace_id
    elif case_id is not None:
        digest = hashlib.sha256(case_id.encode("utf-8", "replace")).hexdigest()[:16]
        name = f"{run_id}.case.{digest}.{attempt}"
    else:
        name = f"{run_id}.{'begun' if kind is ParcelKind.RUN_BEGUN else 'finished'}"
    fits = name.isascii() and name.isprintable() and " " not in name
    return name if fits else hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()


def _text(value: str | None) -> str | None:
    return None if value is None else storable(value)


def _reason(text: str) -> str:
    return storable(text)[:_LONGEST_REASON]
