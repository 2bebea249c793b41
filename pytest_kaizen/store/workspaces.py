"""The workspaces of a server: which there are, each of them opened, and what each needs from time to time."""

from __future__ import annotations

import logging
import math
import re
import threading
import weakref
from collections import OrderedDict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Self

from ..errors import StoreError
from . import migrations, search
from .archive import Archive
from .central import CENTRAL, NAME, Central, Workspace
from .database import Database
from .group_commit import GroupWriter
from .opening import Home, open_home
from .search import Hits, Search
from .store import LOCK_TIMEOUT_S, Store

_ID = re.compile(r"w[0-9a-f]{16}")
#: So many are kept open when nobody uses them.
_KEPT_OPEN = 64
#: Traces that one transaction indexes or deletes.
_BATCH = 100
#: Space is given back when at least this share of the traces was deleted.
_WORTH_IT = 0.05

_LOG = logging.getLogger(__name__)
_INDEX_EVERY_S = 0.2
#: How often to look for what other processes wrote and did not index before they died.
_INDEX_ALL_EVERY_S = 30.0
_RETAIN_EVERY_S = 3600.0


class OpenWorkspace:
    """One workspace, for all threads of a process.

    Attributes:
        id: The workspace's.
        store: Reads at once; each write through it is a transaction of its own, synced to the disk.
        writer: Writes in groups: what a request writes goes through it.
        archive: Reads what test sessions left.
    """

    def __init__(self, workspace_id: str, database: Database, engine: Search) -> None:
        self.id = workspace_id
        self.store = Store(database)
        self.archive = Archive(database)
        self._changed = threading.Event()
        self._changed.set()
        self.writer = GroupWriter(database, after_commit=self._changed.set)
        self._database = database
        self._search = engine
        with database.write() as connection:
            engine.prepare(connection)
        # Not on this object: whoever only holds on to the store goes on using the database.
        weakref.finalize(self.store, _close, self.writer, database)

    def search(self, text: str, *, task: str | None = None, limit: int = 50) -> Hits:
        """Find traces by words, ``"phrases"`` and ``-words`` in any of their texts.

        Args:
            text: What a person types; nothing is an error, and nothing fits a text without a word.
            task: Of this task only.
            limit: At most so many hits.

        Raises:
            StoreError: The database cannot be read.
        """
        with self._database.read() as connection:
            return search.find(connection, self._search, text, task, limit)

    def index(self, *, anyway: bool = False) -> int:
        """Index what was written since, for ``search``; return how many traces.

        Args:
            anyway: Look also when nothing was written through ``writer``.

        Raises:
            StoreError: The database cannot be written.
        """
        if not self._changed.is_set() and not anyway:
            return 0
        self._changed.clear()
        total = 0
        while True:
            with self._database.write() as connection:
                done = search.index(connection, self._search, _BATCH)
            total += done
            if done < _BATCH:
                return total

    def retain(self, policy: Workspace, now: datetime) -> int:
        """Delete what is older or more than a workspace is to keep; return how many traces.

        Space is given back to the disk when much was deleted.

        Raises:
            StoreError: The database cannot be written.
        """
        retention = self.store.retention
        self.store.idempotency.forget(now)
        there = retention.count()
        deleted = 0
        if policy.keep_days is not None:
            before = now - timedelta(days=policy.keep_days)
            while done := retention.delete_traces(_BATCH, before=before):
                deleted += done
            while retention.delete_runs(_BATCH, before=before):
                pass
        size = self._database.size()
        if policy.keep_bytes is not None and size > policy.keep_bytes:
            surplus = math.ceil((there - deleted) * (1 - policy.keep_bytes / size))
            while surplus > 0 and (done := retention.delete_traces(min(_BATCH, surplus))):
                deleted += done
                surplus -= done
        self.index(anyway=True)
        if deleted and deleted >= there * _WORTH_IT:
            with self._database.write() as connection:
                self._search.compact(connection)
            self._database.give_back()
        return deleted

    def size(self) -> int:
        """Return how many bytes it takes, without what can be used anew."""
        return self._database.size()


class Workspaces:
    """All workspaces of a server.

    Attributes:
        central: Which there are, and their keys.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self.central = Central(home.open(NAME, CENTRAL))
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, OpenWorkspace] = OrderedDict()
        # One that is still in use stays the same object after it has fallen out of those kept.
        self._alive: weakref.WeakValueDictionary[str, OpenWorkspace] = weakref.WeakValueDictionary()

    @classmethod
    def open(cls, where: Path | str, *, timeout: float = LOCK_TIMEOUT_S, connections: int = 20) -> Self:
        """Open a server's store.

        Args:
            where: A folder, ``sqlite:///`` and its path, or ``postgresql://…``; made when it is absent.
            timeout: Seconds to wait for another process that writes.
            connections: At most so many to a PostgreSQL server.

        Raises:
            ConfigError: ``where`` is the URL of something else.
            StoreError: It cannot be opened.
        """
        home = open_home(where, timeout=timeout, connections=connections)
        try:
            return cls(home)
        except BaseException:
            home.close()
            raise

    def get(self, workspace_id: str) -> OpenWorkspace:
        """Return a workspace, opened. Whoever uses it holds on to it; it is closed when nobody does.

        Raises:
            StoreError: There is no such workspace, or it cannot be opened.
        """
        with self._lock:
            found = self._alive.get(workspace_id)
            if found is None:
                found = self._alive[workspace_id] = self._opened(workspace_id)
            self._kept[workspace_id] = found
            self._kept.move_to_end(workspace_id)
            # Closed outside the lock, when this returns.
            dropped = self._kept.popitem(last=False) if len(self._kept) > _KEPT_OPEN else None
        del dropped
        return found

    def _opened(self, workspace_id: str) -> OpenWorkspace:
        known = self.central.workspace(workspace_id) if _ID.fullmatch(workspace_id) else None
        if known is None:
            raise StoreError(f"there is no workspace {workspace_id!r}")
        return OpenWorkspace(known.id, self._home.open(known.id, migrations.STORE), self._home.search)

    def opened(self) -> list[OpenWorkspace]:
        """Return those that are open."""
        with self._lock:
            return list(self._alive.values())

    def close(self) -> None:
        """Finish what was accepted and close everything. A second time does nothing."""
        for workspace in self.opened():
            workspace.writer.close()
            workspace.store.close()
        with self._lock:
            self._kept.clear()
        self.central.close()
        self._home.close()


def _close(writer: GroupWriter, database: Database) -> None:
    writer.close()
    database.close()


class Tending:
    """A thread that looks after all workspaces while it is entered.

    Args:
        workspaces: Those of the server.
    """

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kaizen-tending", daemon=True)

    def __enter__(self) -> Tending:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        indexed_all = retained = monotonic()
        while not self._stop.wait(_INDEX_EVERY_S):
            anyway = monotonic() - indexed_all > _INDEX_ALL_EVERY_S
            if anyway:
                indexed_all = monotonic()
            for workspace in self._workspaces.opened():
                try:
                    workspace.index(anyway=anyway)
                except StoreError as exc:
                    _LOG.warning("search: not indexed: %s", exc)
            if monotonic() - retained > _RETAIN_EVERY_S:
                retained = monotonic()
                self._retain()

    def _retain(self) -> None:
        with suppress(StoreError):
            for policy in self._workspaces.central.workspaces():
                if policy.keep_days is None and policy.keep_bytes is None:
                    continue
                try:
                    self._workspaces.get(policy.id).retain(policy, datetime.now(UTC))
                except StoreError as exc:
                    _LOG.warning("retention of %s: %s", policy.name, exc)
