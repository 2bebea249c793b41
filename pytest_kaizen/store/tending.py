"""What a server's store needs done from time to time: the search index, and what is to be deleted."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic

from ..errors import StoreError
from .workspaces import Workspaces

_LOG = logging.getLogger(__name__)
_INDEX_EVERY_S = 0.2
#: How often to look for what other processes wrote and did not index before they died.
_INDEX_ALL_EVERY_S = 30.0
_RETAIN_EVERY_S = 3600.0


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
