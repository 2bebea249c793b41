"""An agent's program when it does not come to its end: it is ended, and none is begun twice."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.config import AgentConfig, Config
from pytest_kaizen.errors import KaizenError, StoreError
from pytest_kaizen.models import Agent, AgentRun, AgentRunStatus, Job, JobStatus, Span, SpanKind, Trace
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.server import hosted
from pytest_kaizen.server.hosted import host
from pytest_kaizen.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)
#: It says its number, and that of a process that it has started, and waits.
WAITS = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("pids.part").write_text(f"{os.getpid()} {child.pid}")
os.rename("pids.part", "pids")
time.sleep(600)
"""
#: It goes, and leaves a process that keeps its standard output open.
LEAVES = """
import os, pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("pids").write_text(str(child.pid))
print("the answer")
"""
#: A process that has the job of an agent; its arguments are the root and the job.
HOSTS = """
import shlex, sys
from pathlib import Path
from pytest_kaizen.config import AgentConfig, Config
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.server.hosted import host
from pytest_kaizen.store import Store

root = Path(sys.argv[1])
agents = {"waits": AgentConfig(command=shlex.join([sys.executable, "waits.py"]))}
config = Config(root=root, store=root / "kaizen.db", agents=agents)
with Store.open(config.store) as store:
    host(config, store, jobs.claim(store, sys.argv[2]), lambda: None)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "kaizen.db") as opened:
        yield opened


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "waits.py").write_text(WAITS, encoding="utf-8")
    (tmp_path / "leaves.py").write_text(LEAVES, encoding="utf-8")
    python = json.dumps(sys.executable)
    agents = {
        "waits": AgentConfig(command=f"{python} waits.py"),
        "leaves": AgentConfig(command=f"{python} leaves.py"),
        "floods": AgentConfig(command=f"{python} -c \"while True: print('x' * 1000)\""),
        "complains": AgentConfig(
            command=f"{python} -c \"import sys; sys.stderr.write('x' * 9999 + 'why'); sys.exit(3)\""
        ),
        "echo": AgentConfig(command=f"{python} -c 'print(input())'"),
        "mute": AgentConfig(command=f"{python} -c 'raise SystemExit(3)'"),
    }
    return Config(root=tmp_path, store=tmp_path / "kaizen.db", agents=agents)


def enqueued(store: Store, agent_id: str) -> tuple[AgentRun, Job]:
    store.agents.add(Agent(id=agent_id, name=agent_id, created_at=NOW, updated_at=NOW))
    run = AgentRun(agent_id=agent_id, trigger="test", status=AgentRunStatus.QUEUED, created_at=NOW)
    store.agents.add_run(run)
    settings = {"agent": agent_id, "run": run.id, "input": "Hi"}
    return run, jobs.create(store, jobs.AGENT_RUN, run.id, settings)


def go(config: Config, store: Store, job: Job, pause: Callable[[], None] = lambda: None) -> None:
    host(config, store, jobs.claim(store, job.id), pause)


def standing(store: Store, run: AgentRun) -> AgentRun:
    found = store.agents.run(run.agent_id, run.id)
    assert found is not None
    return found


def has_begun(config: Config) -> bool:
    return (config.root / "pids").exists()


def assert_gone(config: Config) -> None:
    """Neither the program nor what it started lives; one that nobody waited for yet is dead all the same."""
    for pid in pids(config):
        wait_for(partial(is_dead, pid))


def pids(config: Config) -> list[int]:
    return [int(pid) for pid in (config.root / "pids").read_text().split()]


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_dead(pid: int) -> bool:
    return not is_alive(pid)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_server_that_stops_ends_the_program(config: Config, store: Store) -> None:
    run, job = enqueued(store, "waits")

    def pause() -> None:
        if has_begun(config):
            raise jobs.HandedBack

    with pytest.raises(KaizenError, match="the server was stopped while the agent ran"):
        go(config, store, job, pause)
    assert_gone(config)
    assert standing(store, run).status is AgentRunStatus.FAILED
    # Nobody goes on with it.
    assert store.jobs.one(job.id).status is JobStatus.FAILED
    assert jobs.waiting(store) == []


def test_a_job_that_is_stopped_ends_the_program(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted, "_ASK_S", 0.0)
    run, job = enqueued(store, "waits")

    def pause() -> None:
        if has_begun(config):
            jobs.stop(store, job.id)

    with pytest.raises(KaizenError, match="was stopped, or another process"):
        go(config, store, job, pause)
    assert_gone(config)
    assert standing(store, run).status is AgentRunStatus.FAILED
    assert store.jobs.one(job.id).status is JobStatus.STOPPED


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_worker_that_is_killed_takes_the_program_with_it(config: Config, store: Store) -> None:
    _, job = enqueued(store, "waits")
    with subprocess.Popen([sys.executable, "-c", HOSTS, str(config.root), job.id]) as worker:
        wait_for(lambda: has_begun(config))
        assert all(is_alive(pid) for pid in pids(config))
        worker.kill()
    assert worker.returncode == -signal.SIGKILL
    assert_gone(config)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_program_dies_with_its_warden(config: Config, store: Store) -> None:
    run, job = enqueued(store, "waits")

    killed: list[int] = []

    def pause() -> None:
        if has_begun(config) and not killed:
            stat = Path(f"/proc/{pids(config)[0]}/stat").read_text()
            killed.append(int(stat.rpartition(")")[2].split()[1]))
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(KaizenError, match="what watches over the agent ended with status -9"):
        go(config, store, job, pause)
    program, child = pids(config)
    wait_for(lambda: not is_alive(program))
    os.kill(child, signal.SIGKILL)
    assert standing(store, run).status is AgentRunStatus.FAILED


@pytest.mark.skipif(sys.platform == "win32", reason="only the program itself is ended")
def test_what_a_program_leaves_behind_is_ended(config: Config, store: Store) -> None:
    run, job = enqueued(store, "leaves")
    go(config, store, job)
    trace = store.intake.one(run.trace_id)
    assert trace is not None
    assert trace.output == "the answer"
    assert_gone(config)


def test_an_answer_without_end_ends_the_program(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted, "_MOST_ANSWER", 50_000)
    run, job = enqueued(store, "floods")
    with pytest.raises(KaizenError, match="the agent was ended: its answer has more than 50000 bytes"):
        go(config, store, job)
    trace = store.intake.one(run.trace_id)
    assert trace is not None
    assert (trace.output, trace.error) == (None, store.jobs.one(job.id).error)


def test_an_answer_as_long_as_it_may_be_is_whole(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, job = enqueued(store, "echo")
    monkeypatch.setattr(hosted, "_MOST_ANSWER", len(f"Hi{os.linesep}"))
    go(config, store, job)
    trace = store.intake.one(run.trace_id)
    assert trace is not None
    assert trace.output == "Hi"


def test_of_a_long_complaint_the_end_is_kept(config: Config, store: Store) -> None:
    _, job = enqueued(store, "complains")
    reason = f"the agent exited with status 3: [the last 2000 of 10002 bytes] {'x' * 1997}why"
    with pytest.raises(KaizenError, match=re.escape(reason)):
        go(config, store, job)


def test_a_store_that_cannot_be_written_for_a_while_costs_no_run(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted, "_ASK_S", 0.0)
    lost = {"put": 2, "update_run": 2}

    def fails_at_first(of: Any, name: str) -> None:
        do = getattr(of, name)

        def tried(given: Any) -> Any:
            if lost[name]:
                lost[name] -= 1
                raise StoreError("locked", transient=True)
            return do(given)

        monkeypatch.setattr(of, name, tried)

    fails_at_first(store.intake, "put")
    fails_at_first(store.agents, "update_run")
    run, job = enqueued(store, "echo")
    go(config, store, job)
    assert (standing(store, run).status, store.jobs.one(job.id).status) == (
        AgentRunStatus.COMPLETED,
        JobStatus.COMPLETED,
    )
    trace = store.intake.one(run.trace_id)
    assert trace is not None
    assert (trace.output, lost) == ("Hi", {"put": 0, "update_run": 0})


def test_a_run_that_was_completed_stays_so_when_its_job_was_not(config: Config, store: Store) -> None:
    run, job = enqueued(store, "echo")
    store.agents.update_run(run.model_copy(update={"status": AgentRunStatus.COMPLETED, "completed_at": NOW}))
    go(config, store, job)
    assert (standing(store, run).status, standing(store, run).completed_at) == (AgentRunStatus.COMPLETED, NOW)
    assert store.jobs.one(job.id).status is JobStatus.COMPLETED
    assert store.intake.one(run.trace_id) is None


def test_a_run_whose_process_died_is_not_begun_again(config: Config, store: Store) -> None:
    run, job = enqueued(store, "echo")
    store.agents.update_run(run.model_copy(update={"status": AgentRunStatus.RUNNING}))
    with pytest.raises(KaizenError, match="the process that ran the agent ended before it did"):
        go(config, store, job)
    assert standing(store, run).status is AgentRunStatus.FAILED
    assert store.intake.one(run.trace_id) is None


def test_what_the_program_has_sent_for_its_run_stays(config: Config, store: Store) -> None:
    run, job = enqueued(store, "echo")
    sent = Span(id="s", name="own", kind=SpanKind.TOOL, started_at=NOW)
    store.intake.put([Trace(id=run.trace_id, name="echo", created_at=NOW, spans=[sent])])
    go(config, store, job)
    trace = store.intake.one(run.trace_id)
    assert trace is not None
    assert ([span.name for span in trace.spans], trace.output) == (["echo", "own"], "Hi")


def test_why_a_run_failed(config: Config, store: Store) -> None:
    run, job = enqueued(store, "mute")
    with pytest.raises(KaizenError, match="status 3: it said nothing on standard error"):
        go(config, store, job)
    trace = store.intake.one(run.trace_id)
    assert trace is not None
    assert trace.error == store.jobs.one(job.id).error
    run, job = enqueued(store, "undeclared")
    with pytest.raises(KaizenError, match="has not declared how to run it any more"):
        go(config, store, job)
    assert standing(store, run).status is AgentRunStatus.FAILED
    store.agents.delete("undeclared")
    with pytest.raises(KaizenError, match="is not there any more"):
        go(config, store, job)


def test_the_program_is_not_given_what_opens_the_store(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"KAIZEN_SECRET_KEY": "one", "KAIZEN_SERVER_STORE": "two", "OTHER_SETTING": "three"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    shows = f"import os; print([os.environ.get(name) for name in {list(given)}])"
    agents = {"shows": AgentConfig(command=shlex.join([sys.executable, "-c", shows]))}
    run, job = enqueued(store, "shows")
    go(replace(config, agents=agents), store, job)
    trace = store.intake.one(run.trace_id)
    assert trace is not None
    assert trace.output == "[None, None, 'three']"
