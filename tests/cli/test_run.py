"""``kaizen run`` and ``kaizen insights generate``: what they take, refuse, ask and say."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_kaizen.pipeline import jobs
from pytest_kaizen.scripted import ScriptedLLM
from pytest_kaizen.store import Store

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ids(cli: Cli) -> list[str]:
    """Two traces of files, the one of the task ``chat`` first."""
    _, out, _ = cli("upload", "logs/one.md", "--task", "chat", "--json")
    _, more, _ = cli("upload", "logs/two.json", "--json")
    return [trace["id"] for text in (out, more) for trace in json.loads(text)["traces"]]


def test_the_whole_output(cli: Cli, ids: list[str], reflecting: ScriptedLLM) -> None:
    status, out, err = cli("run", "--all")
    assert (status, len(ids), len(reflecting.record)) == (0, 2, 2)
    job = re.sub(r"\d{8}-\d{6}-[0-9a-f]{6}", "JOB", out + err)
    assert re.sub(r"\$0\.\d+", "$0", job) == (
        "job JOB completed: 2 new insights from 2 traces in 2 calls, $0\n"
        "job JOB: 2 traces, 2 to 4 calls, $0 to $0; it stops at $5\n"
        "to decide about them: kaizen insights list --status pending\n"
    )


@pytest.mark.parametrize("command", [("run",), ("insights", "generate")])
def test_traces_are_named_and_settings_reach_the_job(
    command: tuple[str, ...], cli: Cli, ids: list[str], reflecting: ScriptedLLM, project: Path
) -> None:
    options = ["--model", "claude-opus-4-6", "--epochs", "2", "--reflector-mode", "standard"]
    status, out, _ = cli(*command, "--traces", ids[1][:9], *options, "--budget-usd", "2.5", "--json")
    assert (status, list(json.loads(out)), json.loads(out)["traces"]) == (0, ["jobId", "traces"], 1)
    with Store.open(project / ".kaizen/kaizen.db") as store:
        job = jobs.look_up(store, json.loads(out)["jobId"])
    assert (job.task, job.settings) == (
        "default",
        {
            "traces": {"default": [ids[1]]},
            "model": "claude-opus-4-6",
            "epochs": 2,
            "mode": "standard",
            "budget_usd": 2.5,
            "own_key": False,
        },
    )
    assert [request.model for request in reflecting.record] == ["claude-opus-4-6"] * 2


def test_all_traces_of_a_task(cli: Cli, ids: list[str], reflecting: ScriptedLLM) -> None:
    assert cli("insights", "generate", "--task", "chat")[0] == 0
    _, out, _ = cli("insights", "list", "--json")
    assert [(found["task"], found["evidence"]) for found in json.loads(out)] == [("chat", [ids[0]])]
    assert len(reflecting.record) == 1


def test_a_job_that_fails_says_why_and_how_to_go_on(
    cli: Cli, ids: list[str], reflecting: ScriptedLLM
) -> None:
    reflecting.fail(401, message="no such key\x1b[2J")
    status, out, err = cli("run", "--traces", *ids, "--json", "--wait")
    assert (status, out) == (1, "")
    _, hint, why = err.splitlines()
    job = hint.split()[1]
    assert hint == f"job {job} was broken off; to go on: kaizen run --resume {job}"
    assert why.startswith("kaizen: claude-haiku-4-5: HTTP 401 ")
    assert "\x1b" not in err
    status, out, _ = cli("status", job)
    assert (status, "\x1b" in out) == (1, False)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "there is no terminal to choose traces on; name them: --all or --traces ID"),
        (("--json",), "--json needs --all or --traces: nothing is asked then"),
        (("--all", "--traces", "a"), "--all and --traces exclude each other"),
        (("--all", "--resume", "a"), "--all and --resume exclude each other"),
        (("--resume", "a", "--task", "b"), "--resume goes on with the traces that the job had"),
        (("--all",), "no traces to draw insights from; run `pytest --kaizen`, or upload some"),
        (("--epochs", "0"), "argument --epochs: expected a whole number, 1 or more (found '0')"),
        (("--budget-usd", "-1"), "argument --budget-usd: expected an amount in US dollars above 0"),
        (("--reflector-mode", "slow"), "argument --reflector-mode: invalid choice: 'slow'"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], why: str, cli: Cli, reflecting: ScriptedLLM) -> None:
    status, out, err = cli("run", *arguments)
    assert (status, out) == (2, "")
    assert why in err
    assert reflecting.record == []


def test_without_the_extra_a_message_says_what_to_do(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "questionary", None)
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
    status, _, err = cli("run")
    assert (status, err) == (
        2,
        "kaizen: the list to choose from needs an extra: pip install 'pytest-kaizen[cli]'; "
        "or name the traces: --all or --traces ID\n",
    )


def test_only_jobs_that_draw_insights_are_gone_on_with(cli: Cli, project: Path) -> None:
    with Store.open(project / ".kaizen/kaizen.db") as store:
        job = jobs.start(store, "optimize", "chat", {})
    status, _, err = cli("run", "--resume", job.id)
    assert status == 2
    assert err == f"kaizen: job {job.id} draws no insights; go on with it: `kaizen optimize chat --resume`\n"


def test_what_may_cost_much_is_asked_about(
    cli: Cli, ids: list[str], reflecting: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(ids) == 2
    monkeypatch.setattr("pytest_kaizen.pipeline.search.DEAR_USD", 0.001)
    # Where nobody can answer, the cap has to do.
    status, _, err = cli("run", "--all")
    assert (status, "warning: this may cost $0.0" in err, "Go on?" in err) == (0, True, False)
    keyboard = io.StringIO("n\n")
    monkeypatch.setattr(keyboard, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", keyboard)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    asked = len(reflecting.record)
    status, out, err = cli("run", "--all", "--epochs", "2")
    assert (status, out, len(reflecting.record)) == (1, "", asked)
    *_, last = err.splitlines()
    job = last.rpartition(" ")[2]
    assert last == f"Go on? [y/N] job {job} was stopped; to go on: kaizen run --resume {job}"
    assert cli("run", "--resume", job, "--yes")[0] == 0
    assert len(reflecting.record) > asked
