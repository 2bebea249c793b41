"""``kaizen optimize`` and the pull requests of what it found, on a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from pytest_kaizen.models import FeedbackEntry, Job, JobStatus, PromptVersion, Task
from pytest_kaizen.pipeline.pulls import PREVIEW, RESULT
from pytest_kaizen.prompts.files import sha256_of
from pytest_kaizen.scripted import ScriptedLLM
from pytest_kaizen.store import Store
from pytest_kaizen.store.workspaces import Workspaces
from tests.cli.conftest import Cli, Served, Side

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PULL = "https://git.example/pulls/7"


@pytest.fixture
def store(served: Served) -> Iterator[Store]:
    """The server's store, with a task that has a prompt."""
    workspaces = Workspaces.open(served.folder)
    (place,) = workspaces.central.workspaces()
    found = workspaces.get(place.id).store
    found.tasks.add(Task(name="triage", target_model="claude-haiku-4-5", created_at=NOW))
    text = "You sort."
    version = PromptVersion(task="triage", version=1, sha256=sha256_of(text), text=text, source="platform")
    found.save_prompts([version])
    found.activations.activate("triage", 1)
    yield found
    workspaces.close()


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    """A model that refuses."""
    with ScriptedLLM() as scripted:
        for name, value in scripted.environ.items():
            monkeypatch.setenv(name, value)
        scripted.fail(401, message="no such key")
        yield scripted


def log(store: Store, count: int) -> None:
    task = store.tasks.find("triage")
    assert task is not None
    for number in range(count):
        entry = FeedbackEntry(
            task_id=task.id, inputs={"ticket": str(number)}, output="x", score=0.0, created_at=NOW
        )
        store.feedback.add(task, entry)


def test_a_search_is_a_job_of_the_server(there: Side, store: Store, served: Served) -> None:
    log(store, 20)
    status, out, err = there.cli("optimize", "triage")
    job = str(UUID(out.strip()))
    lines = err.splitlines()
    assert (status, lines[0].startswith("triage: up to ")) == (0, True)
    assert lines[-1] == f"to wait for it: kaizen jobs wait {job} --server {served.url}"
    status, out, err = there.cli("jobs", "wait", job, "--interval", "0.05", "--json")
    found = json.loads(out)
    assert (status, found["kind"], found["task"], found["status"]) == (1, "optimize", "triage", "failed")
    assert "--resume" not in there.cli("jobs", "show", found["jobId"])[1]


def test_a_search_without_feedback(there: Side, store: Store) -> None:
    assert store.feedback.count("triage").total == 0
    status, out, err = there.cli("optimize", "triage")
    assert (status, out) == (1, "")
    assert "'triage' has no feedback to search with" in err


def test_what_a_server_is_not_asked(there: Side) -> None:
    for option in (["--activate"], ["--budget-usd", "1"], ["--from", "suite"], ["--dry-run"]):
        said = f"kaizen: {option[0]}: a server searches as its task and its kaizen.yaml say\n"
        assert there.cli("optimize", "triage", *option) == (2, "", said)


@pytest.fixture
def keep(store: Store) -> Callable[..., str]:
    def make(**result: Any) -> str:
        job = Job(
            id="20260301-1",
            kind="optimize",
            task="triage",
            status=JobStatus.COMPLETED,
            created_at=NOW,
            finished_at=NOW,
            result=result,
        )
        store.jobs.add(job, silent_since=NOW)
        return job.id

    return make


def test_a_pull_request_that_was_previewed(there: Side, keep: Callable[..., str]) -> None:
    """Where it is opened is the server's business; one that is open already is shown."""
    job = keep(**{PREVIEW: "diff", RESULT: {"branch": "b", "url": PULL}})
    status, out, err = there.cli("jobs", "create-pr", job)
    assert (status, out.endswith(f": {PULL}\n"), err) == (0, True, "")
    found = json.loads(there.cli("jobs", "create-pr", job, "--json")[1])
    assert (found["status"], found["pr_url"]) == ("SUCCESS", PULL)
    status, out, err = there.cli("jobs", "retry-pr", job)
    assert (status, out) == (1, "")
    assert "tried again after PR_FAILED only" in err


def test_a_pull_request_of_nothing(there: Side, keep: Callable[..., str]) -> None:
    job = keep()
    status, out, err = there.cli("jobs", "create-pr", job)
    assert (status, out) == (1, "")
    assert "no preview of a pull request" in err


@pytest.mark.parametrize("command", ["retry-pr", "create-pr"])
def test_here_optimize_opens_pull_requests(cli: Cli, command: str) -> None:
    said = "kaizen: name a server with --server URL; on this machine: `kaizen optimize TASK --pr`\n"
    assert cli("jobs", command, "last") == (2, "", said)
