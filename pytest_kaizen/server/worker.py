"""The worker: finds the jobs that nobody does, in all workspaces, and does what their kind asks for.

Any number of processes may have one on the same store. A job is done by the process that claims it;
one whose process died is gone on with by whoever notices first, and what was paid for is in the store.

The work itself is the pipeline's. What a kind needs is imported when a job of that kind is done: a server
starts without the HTTP clients, optimizer and recorder that its jobs may need.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from operator import itemgetter
from time import monotonic
from typing import NamedTuple, Self

from pydantic import SecretStr

from ..capture import Redactor
from ..config import Config
from ..errors import JobError, StoreError
from ..llm import LLM, AnthropicLLM
from ..models import Job
from ..pipeline import jobs
from ..prices import load_prices
from ..store import Store
from ..store.workspaces import OpenWorkspace, Workspaces

#: Seconds for an answer: a reflection takes longer than a judge's.
_ANSWER_S = 120.0
_log = logging.getLogger("pytest_kaizen.server")
#: How often to look in all workspaces: for jobs of processes that died or are busy, and that were put off.
_SWEEP_S = 30.0
#: A job that a passing failure of the store kept from being begun, or from failing, waits so long.
_AGAIN_S = 15.0
#: What is under way when the worker is told to stop has so long to come to its next step.
_STOP_S = 10.0


class Assignment(NamedTuple):
    """A job to do.

    Attributes:
        config: The server's configuration.
        store: The store of the job's workspace.
        job: The job, which nobody has claimed yet.
        key: The key for the model that came with the request; None for the environment's.
        pause: Called between two steps; raises ``HandedBack`` when this process is to end.
    """

    config: Config
    store: Store
    job: Job
    key: SecretStr | None
    pause: Callable[[], None]


def draw(work: Assignment) -> None:
    """Draw insights from traces; raises as ``draw_insights`` and ``jobs.claim``."""
    from ..pipeline.insights import draw_insights
    from ..pipeline.prompt_versions import active_text

    _ask(work, partial(draw_insights, prompt_of=partial(active_text, work.store)))


def optimize(work: Assignment) -> None:
    """Search for a better prompt, which becomes a draft and a pull request; raises as ``optimize_task``."""
    from ..pipeline.feedback.measure import FeedbackMeasure
    from ..pipeline.improve import optimize_task
    from ..pipeline.prompt_versions import add_draft, dismiss_open, prompt_to_improve
    from ..pipeline.pulls.from_task import TaskPulls
    from ..pipeline.search import Search

    config, store, job = work.config, work.store, work.job
    prompt = prompt_to_improve(store, job.task, job)
    dismiss_open(store, job.task)
    optimize_task(
        config,
        store,
        Search.of_job(job),
        FeedbackMeasure(config, store),
        on_doubt=lambda _: True,
        on_estimate=lambda _: True,
        on_event=lambda _: work.pause(),
        prompt=prompt,
        on_proposal=lambda proposal: {
            "version": add_draft(store, proposal).version,
            "decision": proposal.acceptance.decision.value,
            "diff": proposal.diff,
            **TaskPulls(config, store).after(job, proposal),
        },
    )


def run_agent(work: Assignment) -> None:
    """Run an agent that the operator declared; raises as ``host``."""
    from .hosted import host

    host(work.config, work.store, jobs.claim(work.store, work.job.id), work.pause)


def analyze(work: Assignment) -> None:
    """Analyse an experiment; raises as ``observing.analyze`` and ``jobs.claim``."""
    from ..pipeline import observing

    _ask(work, observing.analyze)


def detect(work: Assignment) -> None:
    """Detect behaviours; raises as ``observing.detect`` and ``jobs.claim``."""
    from ..pipeline import observing

    _ask(work, observing.detect)


def evaluate(work: Assignment) -> None:
    """Evaluate a run of an agent; raises as ``observing.evaluate`` and ``jobs.claim``."""
    from ..pipeline import observing

    _ask(work, observing.evaluate)


def _ask(work: Assignment, do: Callable[[Config, Store, Job, LLM, Callable[[Job], None]], None]) -> None:
    """Claim a job and do it with the door to a model."""
    config, store = work.config, work.store
    timeout_s = max(config.judge.timeout_s, _ANSWER_S)
    api_key = work.key.get_secret_value() if work.key else None
    llm = AnthropicLLM(load_prices(config.prices), timeout_s=timeout_s, api_key=api_key)
    try:
        # Last: what fails between the claim and the work would leave the job as if under way.
        do(config, store, jobs.claim(store, work.job.id), llm, lambda _: work.pause())
    finally:
        llm.close()


def import_traces(work: Assignment) -> None:
    """Import traces from where they lie; raises as ``Importer.run`` and ``jobs.claim``."""
    from ..pipeline.integrations.importing import Importer

    config = work.config
    importer = Importer(
        store=work.store,
        redactor=Redactor(os.environ, config.redact),
        price=load_prices(config.prices).cost,
        allow_private=config.server.allow_private_hosts,
        pause=lambda _: work.pause(),
    )
    importer.run(jobs.claim(work.store, work.job.id))


KINDS: Mapping[str, Callable[[Assignment], None]] = {
    jobs.INSIGHTS: draw,
    jobs.OPTIMIZE: optimize,
    jobs.ANALYSIS: analyze,
    jobs.DETECTION: detect,
    jobs.EVALUATION: evaluate,
    jobs.AGENT_RUN: run_agent,
    jobs.IMPORT: import_traces,
}


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
        #: Jobs that wait, by when they are looked at again.
        self._later: dict[str, float] = {}
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
            now = monotonic()
            self._later = {job: until for job, until in self._later.items() if until > now}
            # One that is read as waiting now may have been claimed and done before its turn comes below.
            passed_over = {*self._mine, *self._later}
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
            if job.id not in passed_over:
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
            if not jobs.may_pass(exc):
                _log.warning("job %s failed: %s", job.id, jobs.reason_of(exc))
                self._give_up(store, job, jobs.reason_of(exc))
            else:
                # It still waits; or it was claimed, and is taken over when it counts as dead.
                self._put_off(job, exc)
        else:
            return True
        return False

    def _give_up(self, store: Store, job: Job, reason: str) -> None:
        try:
            jobs.give_up(store, job.id, reason)
        except StoreError as exc:
            self._put_off(job, exc)

    def _put_off(self, job: Job, exc: Exception) -> None:
        _log.warning("job %s is tried again later: %s", job.id, jobs.reason_of(exc))
        with self._lock:
            self._later[job.id] = monotonic() + _AGAIN_S

    def _pause(self) -> None:
        if self._stop.is_set():
            raise jobs.HandedBack("the process ends")
