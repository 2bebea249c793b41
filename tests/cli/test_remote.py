"""Kayba's commands over a server: what they send, print, refuse and suggest."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.platforms.kayba import JobStarted
from pytest_kaizen.scripted import ScriptedLLM

if TYPE_CHECKING:
    from tests.cli.conftest import Served

Cli = Callable[..., tuple[int, str, str]]
KEY = "sk-ant-api03-only-for-this-test-0123456789"


@pytest.fixture
def at(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr("pytest_kaizen.cli.insights._INTERVAL_S", 0.05)
    return ["--server", served.url]


@pytest.fixture
def ids(cli: Cli, at: list[str]) -> list[str]:
    """The traces of the two files, the newest first."""
    status, out, err = cli("upload", "logs", "--json", *at)
    assert (status, json.loads(out)["count"], err) == (0, 2, "")
    return [trace["id"] for trace in json.loads(cli("traces", "list", "--json", *at)[1])]


def test_traces(cli: Cli, at: list[str], ids: list[str]) -> None:
    listed = json.loads(cli("traces", "list", "--json", *at)[1])
    assert [set(trace) for trace in listed] == [{"id", "filename", "fileType", "size", "uploadedAt"}] * 2
    assert {trace["filename"]: trace["fileType"] for trace in listed} == {"one.md": "md", "two.json": "json"}
    text = cli("traces", "list", *at)[1].splitlines()
    assert text[0].split() == ["trace", "file", "type", "bytes"]
    assert [line.split()[0] for line in text[2:]] == ids
    assert json.loads(cli("traces", "list", "--limit", "1", "--json", *at)[1]) == listed[:1]

    one = next(trace for trace in listed if trace["filename"] == "one.md")
    shown = json.loads(cli("traces", "show", one["id"], "--json", *at)[1])
    assert shown == {**one, "content": "# Chat\nWhere is my parcel? - It is on its way.\n"}
    assert json.loads(cli("traces", "show", one["id"], "--meta", "--json", *at)[1]) == one
    meta = cli("traces", "show", one["id"], "--meta", *at)[1]
    assert meta.splitlines()[:2] == [f"trace    {one['id']}", "file     one.md"]
    assert cli("traces", "show", one["id"], *at)[1] == f"{meta}\n{shown['content']}\n"

    status, out, err = cli("traces", "delete", ids[0], "tr_none", "--force", "--json", *at)
    assert (status, json.loads(out)["deleted"]) == (1, [ids[0]])
    assert err == "kaizen: there is no trace 'tr_none'\n"
    assert [trace["id"] for trace in json.loads(cli("traces", "list", "--json", *at)[1])] == ids[1:]
    assert cli("traces", "delete", ids[1], *at)[:2] == (0, f"deleted {ids[1]}\n")
    assert cli("traces", "list", *at)[1] == "no traces\n"


def test_from_a_job_to_a_prompt(
    cli: Cli, at: list[str], ids: list[str], reflecting: ScriptedLLM, project: Path
) -> None:
    options = ["--model", "claude-opus-4-6", "--epochs", "1", "--reflector-mode", "standard", "--wait"]
    status, out, err = cli("run", "--traces", ids[0], *options, "--json", *at)
    job = json.loads(out)
    assert (status, err, job["traces"], job["status"]) == (0, "", 1, "completed")
    assert [request.model for request in reflecting.record] == ["claude-opus-4-6"]
    shown = cli("status", job["jobId"], *at)[1].splitlines()
    assert shown[0] == f"job      {job['jobId']}"
    assert "status   completed" in shown
    for _ in range(2):
        status, out, _ = cli("materialize", job["jobId"], "--json", *at)
        assert (status, json.loads(out)) == (0, {"jobId": job["jobId"], "skillsGenerated": 1})

    [insight] = json.loads(cli("insights", "list", "--status", "new", "--json", *at)[1])
    assert cli("insights", "list", "--section", "other", *at)[1] == "no insights\n"
    assert (insight["content"], insight["status"], insight["evidence"]) == (
        "Name a date.",
        "pending",
        [ids[0]],
    )
    arguments = ["--reject", insight["id"][:-2], "--note", "too vague", "--json", *at]
    [rejected] = json.loads(cli("insights", "triage", *arguments)[1])
    assert (rejected["status"], rejected["note"]) == ("rejected", "too vague")
    assert cli("insights", "triage", "--accept", insight["id"], *at)[1] == "accepted 1, rejected 0\n"

    status, out, err = cli("prompts", "generate", "--task", "default", "--label", "v2", "--json", *at)
    made = json.loads(out)
    assert (status, made["promptId"], made["label"], err) == (0, "default@1", "v2", "default@1: version 1\n")
    rows = cli("prompts", "list", *at)[1].splitlines()
    assert rows[2].split() == ["default@1", "1", "v2"]
    assert json.loads(cli("prompts", "list", "--json", *at)[1]) == [
        {"id": "default@1", "version": 1, "label": "v2"}
    ]
    assert cli("prompts", "list", "other", "--json", *at)[1] == "[]\n"
    for wanted in ([], ["--id", "default@1"], ["--task", "default"]):
        assert cli("prompts", "pull", *wanted, *at)[1] == "Follow these rules:\n- Name a date.\n"
    assert not (project / ".kaizen").exists()


def test_a_job_that_is_only_started(
    cli: Cli, served: Served, at: list[str], ids: list[str], reflecting: ScriptedLLM
) -> None:
    status, out, err = cli("insights", "generate", *at)
    found = re.fullmatch(r"job (\S+) started\n", out)
    assert found is not None
    again = f"kaizen status {found[1]} --wait --server {served.url}"
    assert (status, err, len(ids)) == (0, f"to wait for it: {again}\n", 2)
    assert cli(*again.split()[1:], "--interval", "0.05")[0] == 0
    assert len(reflecting.record) == 1


def test_a_job_that_fails(cli: Cli, at: list[str], ids: list[str], reflecting: ScriptedLLM) -> None:
    reflecting.fail(401, message="no such key")
    status, out, err = cli("run", "--all", "--wait", "--json", *at)
    job = json.loads(out)
    assert (status, job["traces"], job["status"]) == (1, len(ids), "failed")
    assert "no such key" in job["error"]
    assert err == f"kaizen: job {job['jobId']} failed: {job['error']}\n"
    status, out, _ = cli("status", job["jobId"], *at)
    assert (status, "status   failed" in out) == (1, True)


def test_whose_key_asks_the_model(
    cli: Cli, served: Served, at: list[str], ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's own; but as Kayba's command does it where the platform is spoken to as itself."""
    keys: list[str | None] = []

    def begin(_study: object, key: str | None, _store: object) -> JobStarted:
        keys.append(key)
        return JobStarted(job_id="j")

    monkeypatch.setattr("pytest_kaizen.server.routes.kayba._start_study", begin)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "from the environment")
    hosted = ["--base-url", f"{served.url}/api", "--api-key", served.key]
    for where in (at, hosted, [*at, "--anthropic-key", KEY], [*hosted, "--anthropic-key", KEY]):
        status, _, err = cli("run", "--traces", ids[0], "--json", *where)
        assert status == 0, err
    assert keys == [None, "from the environment", KEY, KEY]


def test_leaving_a_job_that_goes_on(
    cli: Cli, served: Served, at: list[str], ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(_seconds: float) -> None:
        raise KeyboardInterrupt

    assert len(ids) == 2
    monkeypatch.setattr("pytest_kaizen.cli.desks.time.sleep", leave)
    monkeypatch.setattr("pytest_kaizen.server.worker.Worker._look", lambda *_args: None)
    status, out, err = cli("run", "--all", "--wait", "--json", *at)
    found = re.fullmatch(r"job (\S+) goes on; to wait again: (kaizen .*)\n", err)
    assert found is not None
    assert (status, out) == (130, "")
    assert found[2] == f"kaizen status {found[1]} --wait --server {served.url}"
    assert cli("status", found[1], "--wait", *at)[::2] == (130, err)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("run", "--all", "--task", "t"), "--task: Kayba's API, which this speaks to a server, "),
        (("upload", "logs", "--task", "t"), "--task: Kayba's API"),
        (("insights", "list", "--task", "t"), "--task: Kayba's API"),
        (("run", "--all", "--budget-usd", "1"), "--budget-usd: a server has its own"),
        (("run", "--resume", "j"), "--resume is for the store on this machine"),
        (("traces", "list", "--otlp"), "--otlp and --run are for the store on this machine"),
        (("insights", "triage", "--accept", "ins"), "no insight is meant by 'ins'"),
        (("prompts", "pull"), "there are no prompts yet; make one: `kaizen prompts generate`"),
    ],
)
def test_what_a_server_cannot_do(command: tuple[str, ...], why: str, cli: Cli, at: list[str]) -> None:
    status, out, err = cli(*command, *at)
    assert (status, out, err.startswith(f"kaizen: {why}")) == (2, "", True), err


def test_a_plan_is_uploaded_in_batches(cli: Cli, at: list[str], project: Path) -> None:
    for folder in ("a", "b"):
        (project / "more" / folder).mkdir(parents=True)
        (project / "more" / folder / "same.txt").write_text(folder)
    plan = {"batches": {"one": {"description": "all", "trace_files": ["a/same.txt", "b/same.txt"]}}}
    (project / "plan.json").write_text(json.dumps(plan))
    arguments = ["--apply", "plan.json", "--upload", "--min-batch-size", "1", "--json"]
    status, out, err = cli("batch", "more", *arguments, *at)
    assert (status, err) == (0, "one: 2 uploaded\n")
    listed = json.loads(cli("traces", "list", "--json", *at)[1])
    assert {trace["id"] for trace in listed} == set(json.loads(out)["uploaded"]["one"])
    assert {trace["filename"] for trace in listed} == {"a/same.txt", "b/same.txt"}


def test_standard_input(cli: Cli, at: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"# said\n")))
    status, out, _ = cli("upload", "--json", "--type", "md", *at)
    [trace] = json.loads(out)["traces"]
    assert (status, trace["filename"], trace["fileType"], trace["size"]) == (0, "stdin.txt", "md", 7)
