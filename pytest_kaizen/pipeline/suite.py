"""The suite as an evaluator: pytest processes that run its cases under candidate prompts.

A worker is told by JSON lines what to run and answers with JSON lines. What runs in it is
``plugin.worker``; nothing here knows pytest but the command that starts it.
"""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from ..errors import WorkerError
from ..models import Scored, Trace

#: Seconds to import and collect a suite.
_START_S = 300.0
_LOG_LINES = 15
#: Seconds to tear down and end.
_GRACE_S = 10.0


class Suite(BaseModel, defer_build=True):
    """What a worker says first.

    Attributes:
        cases: The ids of the cases that it can run, by task.
        measures: By task, a SHA-256 of what its scores come from: rubrics, judge, test files.
        critical: By task, the names of the criteria that its rubrics call critical.
        refused: Why it can run nothing.
    """

    cases: dict[str, list[str]] = {}
    measures: dict[str, str] = {}
    critical: dict[str, list[str]] = {}
    refused: str | None = None


class Ask(BaseModel, defer_build=True):
    """What a worker is asked to run; it answers with an ``Answer``."""

    task: str
    prompt: str
    case: str
    sample: int


class Answer(BaseModel, defer_build=True):
    """What came of it.

    Attributes:
        trace: What the case did, as JSON; None when it did not come so far. JSON within JSON, because
            a trace that cannot be read must not take the score with it.
    """

    scored: Scored
    trace: str | None = None

    def read_trace(self) -> Trace | None:
        """Return the trace, if there is one and it can be read."""
        try:
            # Not pydantic's parser: it refuses text nested deeper than it writes itself.
            return None if self.trace is None else Trace.model_validate(json.loads(self.trace))
        except (ValueError, RecursionError):
            return None


def keep_nothing(trace: Trace) -> None:
    """Let a trace go."""


@dataclass(frozen=True)
class Launch:
    """How a worker is started.

    Attributes:
        folder: Where pytest is started.
        arguments: Its arguments, ``--kaizen`` and the worker's own aside.
        deadline_s: Seconds after which a worker that is on a case counts as hung.
    """

    folder: Path
    arguments: tuple[str, ...] = ()
    deadline_s: float = 300.0


class WorkerProcess:
    """One worker, from its start to its end.

    Args:
        launch: How it is started.

    Attributes:
        suite: What it said first.

    Raises:
        WorkerError: It did not come to say what it can run, or refused.
    """

    def __init__(self, launch: Launch) -> None:
        if os.name != "posix":
            raise WorkerError("a search runs the suite in processes as POSIX systems have them")
        self._launch = launch
        requests, self._to = os.pipe()
        self._from, replies = os.pipe()
        self._buffer = b""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        ours = ("--kaizen", "-p", "pytest_kaizen.plugin.worker", f"--kaizen-worker={requests},{replies}")
        try:
            # A process group of its own: what hangs in it can be ended as a whole.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *launch.arguments, *ours],
                cwd=launch.folder,
                pass_fds=(requests, replies),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            os.close(requests)
            os.close(replies)
        try:
            self.suite = self._first()
        except BaseException:
            self.kill()
            raise

    def run(self, ask: Ask) -> Answer:
        """Run a case and wait for what comes of it.

        Raises:
            WorkerError: It died, or gave no answer in time; it is of no more use.
        """
        try:
            _write(self._to, f"{ask.model_dump_json()}\n".encode())
        except OSError:
            raise WorkerError(f"the worker died{self._tail()}") from None
        return Answer.model_validate_json(self._line(self._launch.deadline_s))

    def close(self) -> None:
        """Let it tear down its fixtures and end; one that does not is killed."""
        os.close(self._to)
        self._to = -1
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self.kill()

    def interrupt(self) -> None:
        """End it and all that it started; whoever waits for its answer learns of it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End it, and give back what it held."""
        self.interrupt()
        self._process.wait()
        for descriptor in (self._to, self._from):
            if descriptor >= 0:
                os.close(descriptor)
        self._log.close()

    def _first(self) -> Suite:
        suite = Suite.model_validate_json(self._line(_START_S))
        if suite.refused is not None:
            raise WorkerError(f"the suite cannot be run: {suite.refused}{self._tail()}")
        return suite

    def _line(self, seconds: float) -> bytes:
        end = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            left = max(end - time.monotonic(), 0)
            if not select.select([self._from], [], [], left)[0]:
                raise WorkerError(f"the worker gave no answer within {seconds:g} s")
            chunk = os.read(self._from, 1 << 16)
            if not chunk:
                raise WorkerError(f"the worker died{self._tail()}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _tail(self) -> str:
        """Wait for its end and return the last lines that it printed, to be put behind a sentence."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").rstrip().splitlines()[-_LOG_LINES:]
        return ":\n" + "\n".join(f"  {line}" for line in lines) if lines else ""


class SuiteEvaluator:
    """Runs cases of a task in workers; one that dies or hangs costs the case that it was on.

    Args:
        launch: How workers are started.
        task: The task.
        workers: How many there are at once.
        keep: Is given the trace of each rollout, before the rollout is handed over.
    """

    def __init__(
        self,
        launch: Launch,
        task: str,
        workers: int = 1,
        keep: Callable[[Trace], None] = keep_nothing,
    ) -> None:
        self._launch = launch
        self._keep = keep
        self._task = task
        self._count = workers
        self._workers: queue.SimpleQueue[WorkerProcess | None] = queue.SimpleQueue()
        self._busy: set[WorkerProcess] = set()
        self._closed = False
        for _ in range(workers):
            self._workers.put(None)

    def suite(self) -> Suite:
        """Start a worker and return what it can run.

        Raises:
            WorkerError: It does not start.
        """
        worker = self._workers.get()
        try:
            worker = worker or WorkerProcess(self._launch)
        finally:
            # Whoever closes this waits for the places of all workers, also of one that did not start.
            self._workers.put(worker)
        return worker.suite

    def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> Iterator[Scored]:
        """Run cases under a prompt; see ``optimize.Evaluator``."""
        asks = [
            Ask(task=self._task, prompt=prompt, case=case, sample=sample)
            for case in cases
            for sample in samples
        ]
        pool = ThreadPoolExecutor(self._count)
        try:
            for future in as_completed([pool.submit(self._run, ask) for ask in asks]):
                yield future.result()
        finally:
            # Whoever stops listening closes the evaluator, which ends what is under way.
            pool.shutdown(wait=False, cancel_futures=True)

    def restart(self) -> None:
        """End the workers; the next cases run in new ones, which know nothing of those before."""
        for _ in range(self._count):
            worker = self._workers.get()
            if worker is not None:
                worker.close()
            self._workers.put(None)

    def close(self) -> None:
        """End the workers, also those that are in the midst of a case; nothing runs any more."""
        self._closed = True
        for worker in list(self._busy):
            worker.interrupt()
        self.restart()

    def _require_open(self) -> None:
        if self._closed:
            raise WorkerError("the search was broken off")

    def _run(self, ask: Ask) -> Scored:
        worker = self._workers.get()
        try:
            self._require_open()
            worker = worker or WorkerProcess(self._launch)
            self._busy.add(worker)
            # Whoever closed this meanwhile did not see the worker among those that are busy.
            self._require_open()
            answer = worker.run(ask)
        except (WorkerError, ValueError) as exc:
            # A text that is no Unicode, or an answer that cannot be read.
            if worker is not None:
                worker.kill()
                self._busy.discard(worker)
                worker = None
            answer = Answer(scored=Scored(case_id=ask.case, sample=ask.sample, error=str(exc)))
        finally:
            if worker is not None:
                self._busy.discard(worker)
            self._workers.put(worker)
        trace = answer.read_trace()
        if trace is not None:
            self._keep(trace)
        return answer.scored


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
