"""The worker: finds the jobs that nobody does, in all workspaces, and does them.

Any number of processes may have one on the same store. A job is done by the process that claims it;
one whose process died is gone on with by whoever notices first, and what was paid for is in the store.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from operator import itemgetter
from time import monotonic
from typing import Self

from ...config import Config
from ...errors import JobError, StoreError
from ...models import Job
from ...pipeline import jobs
from ...store.workspaces import OpenWorkspace, Workspaces
from .kinds import KINDS, Assignment

_log = logging.getLogger("pytest_kaizen.server")
#: How often to look in all workspaces: for jobs of processes that died or are busy, and that were put off.
_SWEEP_S = 30.0
#: What is under way when the worker is told to stop has so long to come to its next step.
_STOP_S = 10.0


class Worker:
    """Does jobs, in threads of its own, while it is entered.

    Args:
        config: The server's configuration.
        workspaces: Those of the server.
        kinds: What is done for each kind of job.
    """

    def __init__(
        self,
        config: Config,
        workspaces: Workspaces,
        kinds: Mapping[str, Callable[[Assignment], None]] = KINDS,
    ) -> None:
        self._config = config
        self._workspaces = workspaces
        self._kinds = kinds
        self._most = config.server.jobs_at_once
        #: Workspaces to look in; None for all.
        self._woken: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        #: Set when a job waits for another one to end.
        self._crowded = threading.Event()
        self._lock = threading.Lock()
        self._mine: dict[str, threading.Thread] = {}
        self._thread = threading.Thread(target=self._run, name="kaizen-worker", daemon=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(jobs={sorted(self._mine)})"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Hand back what is under way, at its next step; what takes longer counts as broken off."""
        self._stop.set()
        self._woken.put(None)
        self._thread.join()
        until = monotonic() + _STOP_S
        with self._lock:
            working = list(self._mine.values())
        for thread in working:
            thread.join(max(until - monotonic(), 0))

    def begin(self, workspace: str) -> None:
        """See to it that what a workspace, given by its id, has to do is begun soon."""
        self._woken.put(workspace)

    def work_off(self, workspace: OpenWorkspace) -> None:
        """Do all that a workspace has to do, one job after the other, in this thread."""
        for job in jobs.waiting(workspace.store):
            self._do(workspace, job)

    def _run(self) -> None:
        swept = -_SWEEP_S
        while not self._stop.is_set():
            left = swept + _SWEEP_S - monotonic()
            place = None
            if left > 0:
                with suppress(queue.Empty):
                    place = self._woken.get(timeout=left)
                    if place is not None:
                        self._look([place])
                        continue
            swept = monotonic()
            with suppress(StoreError):
                self._look([known.id for known in self._workspaces.central.workspaces()])

    def _look(self, places: list[str]) -> None:
        with self._lock:
            # One that is read as waiting now may have been claimed and done before its turn comes below.
            begun = set(self._mine)
        found: list[tuple[datetime, OpenWorkspace, Job]] = []
        for place in places:
            try:
                workspace = self._workspaces.get(place)
                found += [(job.created_at, workspace, job) for job in jobs.waiting(workspace.store)]
            except Exception as exc:
                # Whatever it is, the others' jobs are to be found, now and later.
                _log.warning("jobs of %s: %s", place, jobs.reason_of(exc))
        # Who came first is first, so that no workspace can keep the others waiting.
        for _, workspace, job in sorted(found, key=itemgetter(0)):
            if job.id not in begun:
                self._begin(workspace, job)

    def _begin(self, workspace: OpenWorkspace, job: Job) -> None:
        with self._lock:
            full = len(self._mine) >= self._most
            if full:
                self._crowded.set()
            if self._stop.is_set() or full:
                return
            thread = threading.Thread(
                target=self._do_and_look, args=(workspace, job), name=f"kaizen-job-{job.id}", daemon=True
            )
            self._mine[job.id] = thread
        try:
            thread.start()
        except RuntimeError as exc:
            # There are as many threads as the system allows. The job waits for the next look.
            _log.warning("job %s: %s", job.id, exc)
            with self._lock:
                del self._mine[job.id]

    def _do_and_look(self, workspace: OpenWorkspace, job: Job) -> None:
        done = False
        try:
            done = self._do(workspace, job)
        finally:
            with self._lock:
                del self._mine[job.id]
            if self._crowded.is_set():
                self._crowded.clear()
                self._woken.put(None)
            elif done:
                # It may have left something to be done after it.
                self._woken.put(workspace.id)

    def _do(self, workspace: OpenWorkspace, job: Job) -> bool:
        """Do a job; return whether it was done to its end."""
        store = workspace.store
        try:
            key = jobs.own_key(store, job)
            self._kinds[job.kind](Assignment(self._config, store, job, key, self._pause))
        except jobs.HandedBack as exc:
            _log.info("job %s is handed back: %s", job.id, exc)
        except JobError as exc:
            # Another process has it, or it was stopped.
            _log.info("job %s: %s", job.id, exc)
        except Exception as exc:
            _log.warning("job %s failed: %s", job.id, jobs.reason_of(exc))
            with suppress(StoreError):
                jobs.give_up(store, job.id, jobs.reason_of(exc))
        else:
            return True
        return False

    def _pause(self) -> None:
        if self._stop.is_set():
            raise jobs.HandedBack("the process ends")
