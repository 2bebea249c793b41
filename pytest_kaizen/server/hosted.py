"""Runs an agent that the operator declared, as a program of its own, and keeps what it did."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

from ..capture import Redactor
from ..config import AgentConfig, Config
from ..errors import KaizenError, StoreError
from ..models import Agent, AgentRun, AgentRunStatus, Job, Message, Part, Span, SpanKind, Trace, new_span_id
from ..pipeline import jobs
from ..pipeline.observing import start_evaluation
from ..report.text import plain
from ..store import Store
from .proxy.recorder import recorded

#: How often to look whether the server stops, and whether the job was stopped, in seconds.
_LOOK_S, _ASK_S = 0.1, 2.0
#: The most bytes of an answer, and those of the end of standard error that are kept.
_MOST_ANSWER, _MOST_ERROR = 4_000_000, 2_000
#: So long what an agent has done is held ready for a store that cannot be written: it is not done again.
_PATIENCE_S = 300.0
#: So long the warden may take to end.
_END_S = 60.0
_WARDEN = Path(__file__).with_name("warden.py")
T = TypeVar("T")
_OURS = ("KAIZEN_SECRET_KEY", "KAIZEN_SERVER_STORE")
#: What it prints is no answer, so that goes to standard error.
_CALL = """\
import asyncio, contextlib, functools, importlib, inspect, json, sys

async def awaited(value):
    return await value

module, _, name = sys.argv[1].partition(":")
given = sys.stdin.read()
with contextlib.redirect_stdout(sys.stderr):
    answer = functools.reduce(getattr, name.split("."), importlib.import_module(module))(given)
    if inspect.isawaitable(answer):
        answer = asyncio.run(awaited(answer))
sys.stdout.write(answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, default=str))
"""


class _BrokenOff(KaizenError):  # noqa: N818 - it names what happened
    """A run that did not come to a good end."""


def host(config: Config, store: Store, job: Job, pause: Callable[[], None]) -> None:
    """Do a claimed job that runs an agent: the run gets its trace and its end, and then its evaluation.

    A program may have done anything by the time that its server dies, so none is begun a second time.

    Args:
        config: Declares the agent.
        store: Has the run.
        job: The job.
        pause: Raises ``HandedBack`` when this process is to end, which ends the program too.

    Raises:
        JobError: Another process has the job.
        KaizenError: The agent failed, was stopped, or is not declared any more.
        StoreError: The store cannot be written.
    """
    with jobs.running(store, job):
        agent_id = job.settings["agent"]
        agent, run = store.agents.one(agent_id), store.agents.run(agent_id, job.settings["run"])
        if agent is None or run is None:
            raise _BrokenOff(f"agent {agent_id!r} or its run is not there any more")
        if run.status is AgentRunStatus.COMPLETED:
            # Whoever ran it died, or could not write, just before the end of the job.
            trace = store.intake.one(run.trace_id)
        else:
            try:
                trace = _carry_out(
                    config, store, agent, run, job.settings["input"], _Watch(store, job, pause)
                )
            except BaseException:
                _become(store, run, AgentRunStatus.FAILED)
                raise
            run = _become(store, run, AgentRunStatus.COMPLETED)
        start_evaluation(config, store, agent, run, trace, datetime.now(UTC))


def _carry_out(config: Config, store: Store, agent: Agent, run: AgentRun, given: str, watch: _Watch) -> Trace:
    """Run an agent and store its trace, also where it fails, which is raised as ``KaizenError``."""
    if run.status is not AgentRunStatus.QUEUED:
        raise _BrokenOff("the process that ran the agent ended before it did")
    trace = _run(config, agent, _become(store, run, AgentRunStatus.RUNNING), given, watch)
    trace = _patiently(lambda: _keep(store, trace))
    if trace.error is not None:
        raise _BrokenOff(trace.error)
    return trace


def _keep(store: Store, trace: Trace) -> Trace:
    # What the program itself has sent for its run stays.
    sent = store.intake.one(trace.id)
    if sent is not None:
        spans = [*trace.spans, *sent.spans]
        trace = trace.model_copy(update={"spans": spans, "scores": sent.scores})
    store.intake.put([trace])
    return trace


def _patiently(do: Callable[[], T]) -> T:
    """Do what may fail because the store cannot be used now, again and again; raises what stays so."""
    until = monotonic() + _PATIENCE_S
    while True:
        try:
            return do()
        except StoreError as exc:
            if not exc.transient or monotonic() > until:
                raise
            sleep(_ASK_S)


class _Watch:
    """Looks whether a program may go on."""

    def __init__(self, store: Store, job: Job, pause: Callable[[], None]) -> None:
        self._store = store
        self._job = job
        self._pause = pause
        self._asked = monotonic()

    def look(self) -> None:
        """Raise what ends the program."""
        try:
            self._pause()
        except jobs.HandedBack:
            raise _BrokenOff("the server was stopped while the agent ran") from None
        if monotonic() - self._asked < _ASK_S:
            return
        self._asked = monotonic()
        # A store that cannot be written now may be written the next time.
        with suppress(StoreError):
            jobs.progress(self._store, self._job, "running the agent", self._job.spend)


def _become(store: Store, run: AgentRun, status: AgentRunStatus) -> AgentRun:
    ended_at = None if status is AgentRunStatus.RUNNING else datetime.now(UTC)
    run = run.model_copy(update={"status": status, "completed_at": ended_at})
    _patiently(lambda: store.agents.update_run(run))
    return run


def _run(config: Config, agent: Agent, run: AgentRun, given: str, watch: _Watch) -> Trace:
    """Run an agent to its end, whatever that is, and return its trace without secrets."""
    answer = error = None
    calls: list[Trace] = []
    began, clock = datetime.now(UTC), monotonic()
    with recorded(config, calls.append) as (_, environment):
        try:
            answer = _answer(config.agent(agent.id), config.root, given, environment, watch)
        except KaizenError as exc:
            error = str(exc)
    root = Span(
        id=new_span_id(),
        name=agent.name,
        kind=SpanKind.AGENT,
        input=[_said("user", given)],
        output=[] if answer is None else [_said("assistant", answer)],
        started_at=began,
        latency_ms=(monotonic() - clock) * 1000,
        error=error,
    )
    spans = [span.model_copy(update={"parent_id": root.id}) for call in calls for span in call.spans]
    trace = Trace(
        id=run.trace_id,
        name=agent.name,
        created_at=run.created_at,
        input=given,
        output=answer,
        error=error,
        metadata={"source": "kate", "agent_id": agent.id, "trigger": run.trigger},
        spans=[root, *spans],
    )
    return Redactor(os.environ, config.redact).trace(trace)


def _said(role: str, text: str) -> Message:
    return Message(role=role, parts=[Part(type="text", content=text)])


def _answer(
    declared: AgentConfig, root: Path, given: str, environment: Mapping[str, str], watch: _Watch
) -> str:
    """Run the program and return what it answers.

    Raises:
        KaizenError: It cannot be run, fails, takes too long or is stopped.
    """
    given_bytes = given.encode("utf-8", "replace")
    bounds = [str(number) for number in (len(given_bytes), _MOST_ANSWER, _MOST_ERROR)]
    with tempfile.TemporaryFile() as out:
        try:
            warden = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_WARDEN), *bounds, *_words(declared)],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.DEVNULL,
                cwd=root,
                env={**_without_ours(environment), "PYTHONUTF8": "1"},
                # What a terminal sends to the server, it is not sent.
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            raise _BrokenOff(f"the agent cannot be run: {exc}") from None
        try:
            _give(warden, given_bytes)
            status = _status(warden, declared.timeout_s, watch)
        finally:
            _end(warden)
        out.seek(0)
        return _reported(status, out.readline(), out.read())


def _reported(status: int, line: bytes, answer: bytes) -> str:
    """Return the answer that the warden reports.

    Raises:
        KaizenError: The program could not be run, failed, or answered too much.
    """
    try:
        found = json.loads(line)
    except ValueError:
        raise _BrokenOff(f"what watches over the agent ended with status {status}") from None
    if "refused" in found:
        raise _BrokenOff(f"the agent cannot be run: {found['refused']}")
    if found["too_long"]:
        raise _BrokenOff(f"the agent was ended: its answer has more than {_MOST_ANSWER} bytes")
    if found["status"] != 0:
        said = plain(found["said"].strip()) or "it said nothing on standard error"
        if found["said_bytes"] > _MOST_ERROR:
            said = f"[the last {_MOST_ERROR} of {found['said_bytes']} bytes] {said}"
        raise _BrokenOff(f"the agent exited with status {found['status']}: {said}")
    return answer.decode("utf-8", "replace").rstrip("\r\n")


def _give(warden: subprocess.Popen[bytes], given: bytes) -> None:
    assert warden.stdin is not None
    # If it is gone already, its status says so.
    with suppress(OSError):
        warden.stdin.write(given)
        warden.stdin.flush()


def _without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """Leave out what opens the server's store: an agent may be talked into showing its environment."""
    return {name: value for name, value in environment.items() if name not in _OURS}


def _end(warden: subprocess.Popen[bytes]) -> None:
    """End the warden, and with it the program: by closing the pipe, as the end of this process would."""
    assert warden.stdin is not None
    with suppress(OSError):
        warden.stdin.close()
    try:
        warden.wait(_END_S)
    except subprocess.TimeoutExpired:
        warden.kill()
        warden.wait()


def _words(declared: AgentConfig) -> list[str]:
    if declared.command is not None:
        return shlex.split(declared.command)
    if declared.callable is not None:
        return [sys.executable, "-c", _CALL, declared.callable]
    raise _BrokenOff("the operator of this server has not declared how to run it any more")


def _status(warden: subprocess.Popen[bytes], timeout_s: float, watch: _Watch) -> int:
    until = monotonic() + timeout_s
    while True:
        try:
            return warden.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            if monotonic() > until:
                raise _BrokenOff(f"the agent did not end within {timeout_s:g} s") from None
            watch.look()
