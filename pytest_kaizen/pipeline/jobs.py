"""Jobs: long pieces of work that whoever has the store can watch, stop and go on with.

The functions know nothing about the process that runs them: a command, a test session and a worker
of a server use the same ones. One job of a kind is active for a task.

The process that has a job shows every ``BEAT_S`` that it lives, however long a step of it takes. A job
without such a sign for ``LEASE_S`` is dead: a new one may start, or another process may go on with it.
One that is done is held in the same way by who amends it, as to open its pull request. A process that
wakes up after that finds that the job is no longer its own, and ends with ``JobError`` before it stores
or spends more. Times are compared between machines, whose clocks may differ by much less than the lease.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from ..errors import JobError, KaizenError, LLMError
from ..models import Job, JobStatus, Spend, Task
from ..store import Store
from ..store.jobs import SEALED_KIND

#: The kinds of jobs. Each has its function in a module that is loaded when it is needed.
INSIGHTS, OPTIMIZE, IMPORT = "insights", "optimize", "import"
ANALYSIS, DETECTION = "analysis", "detection"
AGENT_RUN, EVALUATION = "agent-run", "evaluation"
BEAT_S = 5.0
LEASE_S = 60.0
#: How often a worker begins a job anew after a failure that may pass, and how long it waits the first
#: time; each further time four times as long.
RETRIES = 4
_BACKOFF_S = 15.0
_KEY_NAME = "model key"


class HandedBack(BaseException):
    """The job waits for a process again: raised in the block of ``running`` by one that ends, and by it."""


def create(
    store: Store,
    kind: str,
    task: str,
    settings: Mapping[str, Any],
    triggered_by: str = "command",
    *,
    key: str | None = None,
    retries: int = RETRIES,
) -> Job:
    """Store a new job that waits for a process to claim it, which does not give up at once.

    Args:
        store: Where jobs are kept.
        kind: What is to be done, as ``Job`` has it.
        task: The task that it is for.
        settings: All that a process needs to do it, as JSON; no secrets.
        triggered_by: ``command``, ``gate``, ``threshold`` or ``api``.
        key: A key for its model. It is kept encrypted, until the job has come to an end; the settings
            say ``own_key`` then.
        retries: How often it is begun anew after a failure that may pass.

    Raises:
        JobError: Another job of this kind is active for the task.
    """
    job = _waiting(kind, task, settings, triggered_by, retries)
    if key is not None:
        # Before the job, which another process may begin as soon as it is there.
        store.sealed.seal(SEALED_KIND, job.id, _KEY_NAME, key)
    try:
        return _add(store, job)
    except JobError:
        if key is not None:
            store.sealed.forget(SEALED_KIND, job.id)
        raise


def own_key(store: Store, job: Job) -> SecretStr | None:
    """Return the key that a job was given for its model; None for one that has the environment's.

    Raises:
        LLMError: It is gone, as after the job's end.
        StoreError: It cannot be decrypted here.
    """
    if not job.settings.get("own_key"):
        return None
    key = store.sealed.open(SEALED_KIND, job.id, _KEY_NAME)
    if key is None:
        raise LLMError(f"the key that came with job {job.id} is gone; ask anew, with the key")
    return key


def create_if_due(store: Store, kind: str, task: Task, settings: Mapping[str, Any]) -> Job | None:
    """Store a new job for a task whose feedback has reached its threshold; see ``create``.

    Returns:
        The job; None when the threshold is not reached, or a job of this kind is active for the task.
    """
    job = _waiting(kind, task.name, settings, "threshold", RETRIES)
    due = store.feedback.add_job_if_due(task, job, silent_since=_silent_since(job.created_at))
    return job if due else None


def start(
    store: Store, kind: str, task: str, settings: Mapping[str, Any], triggered_by: str = "command"
) -> Job:
    """Store a new job that this process has; see ``create`` and ``claim``."""
    job = _new(kind, task, settings, triggered_by)
    job.status, job.owner = JobStatus.RUNNING, _this_process()
    job.started_at = job.heartbeat_at = job.created_at
    return _add(store, job)


def claim(store: Store, job_id: str) -> Job:
    """Make this process the owner of a job: one that waits, or to go on with one that was broken off.

    Args:
        store: Where jobs are kept.
        job_id: Its id, an unambiguous beginning of it, or ``last``.

    Returns:
        The job, running; hand it to ``running``.

    Raises:
        JobError: It has been completed or is under way elsewhere, or another one of its kind and task
            is active.
        StoreError: There is no such job.
    """
    now = datetime.now(UTC)
    return store.jobs.claim(job_id, _this_process(), now, silent_since=_silent_since(now))


def waiting(store: Store) -> list[Job]:
    """Return the jobs that no process has and one should, the oldest first: queued, or broken off."""
    now = datetime.now(UTC)
    return store.jobs.waiting(now, silent_since=_silent_since(now))


def give_up(store: Store, job_id: str, error: str) -> None:
    """Fail a job that could not be begun, which would keep others from starting; another's stays."""
    with suppress(JobError):
        if not store.jobs.one(job_id).status.final:
            fail(store, claim(store, job_id), error)


def may_pass(exc: Exception) -> bool:
    """Whether the same may go well later: a lock, a lost connection, a model that is overloaded."""
    return getattr(exc, "transient", False) is True


def reason_of(exc: Exception) -> str:
    """Return an error as a job keeps it."""
    return str(exc) if isinstance(exc, KaizenError) else f"{type(exc).__name__}: {exc}"


def require_free(store: Store, kind: str, task: str) -> None:
    """Make sure that a job could start now.

    Raises:
        JobError: One of this kind is active for the task.
    """
    store.jobs.require_free(kind, task, silent_since=_silent_since(datetime.now(UTC)))


def look_up(store: Store, job_id: str) -> Job:
    """Return a job (id, beginning or ``last``); one whose process is dead counts as stopped.

    Raises:
        StoreError: None or several are meant.
    """
    return _as_it_stands(store.jobs.one(job_id))


def newest_of(
    store: Store, task: str | None = None, kind: str | None = None, limit: int | None = None
) -> list[Job]:
    """Return jobs as ``look_up`` does, the newest first; of one task or kind and so many, where given."""
    return [_as_it_stands(job) for job in store.jobs.newest(task, kind=kind, limit=limit)]


def newest(store: Store, kind: str, task: str) -> Job | None:
    """Return the newest job of a kind for a task, as ``look_up`` does; None without one."""
    return next(iter(newest_of(store, task, kind, 1)), None)


def recent(store: Store, limit: int) -> list[Job]:
    """Return jobs of all kinds, the newest first, each as ``look_up`` does."""
    return newest_of(store, limit=limit)


def progress(store: Store, job: Job, step: str, spend: Spend) -> None:
    """Store what a job is doing and what it has used.

    Raises:
        JobError: It was stopped, or another process has it.
    """
    job.step, job.spend = step, spend
    store.jobs.write(job, datetime.now(UTC))


def finish(store: Store, job: Job) -> None:
    """End a job well; its ``result`` is stored with it. Raises as ``progress``."""
    _end(store, job, JobStatus.COMPLETED)


def fail(store: Store, job: Job, error: str) -> None:
    """End a job that cannot go on; raises as ``progress``."""
    job.error = error
    _end(store, job, JobStatus.FAILED)


def stop(store: Store, job_id: str) -> Job:
    """Stop a job, in whatever process it runs: that one learns of it with the next thing it stores.

    A job that has come to an end stays as it is.
    """
    return store.jobs.stop(job_id, datetime.now(UTC))


def amend(store: Store, job: Job, result: Mapping[str, Any]) -> None:
    """Change the result of a job that was completed.

    Raises:
        JobError: It is not completed.
    """
    store.jobs.amend(job.model_copy(update={"result": dict(result)}))


@contextmanager
def held(store: Store, job: Job) -> Iterator[Job]:
    """Make this process the one that may amend a completed job for as long as the block runs.

    It shows meanwhile that it lives, as in ``running``: what takes long keeps the job, and a process
    that dies lets go of it after ``LEASE_S``. What the block makes of the job's ``result`` is stored at
    its end; an exception leaves the job as it was and passes on.

    Yields:
        The job as it is now.

    Raises:
        JobError: Another process holds it, or it is not completed; at the end of the block: another
            process has taken it over.
    """
    now = datetime.now(UTC)
    known = store.jobs.one(job.id)
    if _is_held(known, now):
        raise JobError(f"job {job.id} is being amended by {known.owner}; try again when that is done")
    mine = known.model_copy(update={"owner": _this_process(), "heartbeat_at": now})
    store.jobs.amend(mine, known.owner)
    try:
        with _alive(store, mine):
            yield mine
    except BaseException:
        with suppress(KaizenError):
            _let_go(store, mine.model_copy(update={"result": known.result}))
        raise
    _let_go(store, mine)


def _let_go(store: Store, job: Job) -> None:
    job.heartbeat_at = job.finished_at
    store.jobs.amend(job)


@contextmanager
def running(store: Store, job: Job) -> Iterator[Job]:
    """Show that a claimed job lives for as long as the block runs, and store how it ended.

    The end of the block completes the job, an exception fails it, ``HandedBack`` queues it again, and
    what else is no ``Exception`` (Ctrl-C) stops it, so that it can be gone on with. All pass on; but a
    failure that may pass queues a job that has retries left, for a later time, and is ``HandedBack``.

    Args:
        store: Where jobs are kept.
        job: As ``start`` or ``claim`` returned it. The block sets its ``result``, and ``spend`` may be
            an object that something else keeps up to date.

    Raises:
        JobError: At the end of the block: it was stopped, or another process has it.
    """
    with _alive(store, job):
        try:
            yield job
        except Exception as exc:
            with suppress(KaizenError):
                if job.retries and may_pass(exc):
                    _put_off(store, job, reason_of(exc))
                    raise HandedBack(job.step) from exc
                fail(store, job, reason_of(exc))
            raise
        except HandedBack:
            with suppress(KaizenError):
                _queue_again(store, job)
            raise
        except BaseException:
            with suppress(KaizenError):
                _end(store, job, JobStatus.STOPPED)
            raise
        else:
            finish(store, job)


@contextmanager
def _alive(store: Store, job: Job) -> Iterator[None]:
    """Show for as long as the block runs that the process of a job lives."""
    assert job.owner is not None
    done = threading.Event()
    mine = (store, job.id, job.owner, job.status, done)
    beating = threading.Thread(target=_beat, args=mine, name="kaizen-job", daemon=True)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join()


def _new(kind: str, task: str, settings: Mapping[str, Any], triggered_by: str) -> Job:
    now = datetime.now(UTC)
    return Job(
        id=f"{now:%Y%m%d-%H%M%S}-{os.urandom(3).hex()}",
        kind=kind,
        task=task,
        triggered_by=triggered_by,
        created_at=now,
        settings=dict(settings),
    )


def _waiting(kind: str, task: str, settings: Mapping[str, Any], triggered_by: str, retries: int) -> Job:
    return _new(kind, task, settings, triggered_by).model_copy(update={"retries": retries})


def _put_off(store: Store, job: Job, reason: str) -> None:
    delay = timedelta(seconds=_BACKOFF_S * 4 ** max(RETRIES - job.retries, 0))
    job.not_before = datetime.now(UTC) + delay
    job.retries -= 1
    job.step = f"begins anew at {job.not_before:%H:%M:%S} UTC: {reason}"
    _queue_again(store, job)


def _queue_again(store: Store, job: Job) -> None:
    store.jobs.write(job.model_copy(update={"status": JobStatus.QUEUED}), datetime.now(UTC))


def _add(store: Store, job: Job) -> Job:
    store.jobs.add(job, silent_since=_silent_since(job.created_at))
    return job


def _this_process() -> str:
    # The code tells apart two claims by one process, and two processes that had the same number.
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}"


def _beat(store: Store, job_id: str, owner: str, status: JobStatus, done: threading.Event) -> None:
    while not done.wait(BEAT_S):
        # A store that cannot be written now may be written at the next beat.
        with suppress(KaizenError):
            if not store.jobs.beat(job_id, owner, datetime.now(UTC), status):
                return


def _end(store: Store, job: Job, status: JobStatus) -> None:
    now = datetime.now(UTC)
    store.jobs.write(job.model_copy(update={"status": status, "finished_at": now}), now)
    job.status, job.finished_at = status, now


def _as_it_stands(job: Job) -> Job:
    if job.is_dead(_silent_since(datetime.now(UTC))):
        return job.model_copy(update={"status": JobStatus.STOPPED, "finished_at": job.heartbeat_at})
    return job


def _is_held(job: Job, now: datetime) -> bool:
    """Whether a process amends a completed job: who completed it showed its last sign of life then."""
    if job.heartbeat_at is None or job.finished_at is None or job.heartbeat_at <= job.finished_at:
        return False
    return now - job.heartbeat_at < timedelta(seconds=LEASE_S)


def _silent_since(now: datetime) -> datetime:
    return now - timedelta(seconds=LEASE_S)
