"""``kaizen runs complete`` on this machine: what it evaluates, and what it says where it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.models import JobStatus
from pytest_kaizen.scripted import Request, ScriptedLLM
from pytest_kaizen.store import Store
from tests.cli.conftest import Cli


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    """Gives every criterion 4 of 5."""
    with ScriptedLLM() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)

        def answer(request: Request) -> str:
            names = (request.schema or {})["properties"]
            return json.dumps({name: {"reason": "It could be kinder.", "score": 4} for name in names})

        server.reply(answer)
        yield server


@pytest.fixture(autouse=True)
def bot(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent with a name, and spans of a run."""
    monkeypatch.setenv("KATE_AGENT_ID", "bot")
    spans = [{"name": "answer", "span_kind": "LLM", "input": "Where?", "output": "On its way."}]
    (project / "spans.json").write_text(json.dumps(spans))
    (project / "kaizen.yaml").write_text("agents: {bot: {cooldown_s: 3600}}\n")
    begun(cli)


def begun(cli: Cli) -> str:
    run_id: str = json.loads(cli("runs", "create", "--json")[1])["id"]
    assert cli("runs", "upload", run_id, "spans.json")[0] == 0
    return run_id


def with_objective(cli: Cli) -> None:
    assert cli("agents", "update", "bot", "--objective", "Help people.")[0] == 0


def evaluations(project: Path) -> list[Any]:
    with Store.open(project / ".kaizen/kaizen.db") as store:
        return [(job.status, job.error) for job in store.jobs.newest("bot", kind="evaluation")]


def test_a_run_is_evaluated_and_the_next_waits_for_the_cooldown(
    cli: Cli, project: Path, judge: ScriptedLLM
) -> None:
    with_objective(cli)
    first = begun(cli)
    status, out, err = cli("runs", "complete", first)
    assert (status, err) == (0, "evaluated; to see what was found wanting: kaizen agents summary bot\n")
    assert out.splitlines()[2].split()[:4] == [first, "completed", "manual", "0.750"]
    (request,) = judge.record
    assert "what the agent is for: Help people." in request.last_user_text
    assert "On its way." in request.last_user_text
    assert "objective 0.75: It could be kinder." in cli("agents", "summary", "bot")[1]
    assert evaluations(project) == [(JobStatus.COMPLETED, None)]

    assert cli("runs", "complete", first)[2] == "not evaluated: it was evaluated before\n"
    second = begun(cli)
    status, out, err = cli("runs", "complete", second, "--json")
    assert (status, json.loads(out)["status"], json.loads(out)["overall_score"]) == (0, "completed", None)
    assert err.startswith("not evaluated: the cooldown of its agent lasts until ")
    # Once it is over, the same command evaluates it.
    (project / "kaizen.yaml").write_text("agents: {bot: {cooldown_s: 0}}\n")
    status, out, _ = cli("runs", "complete", second, "--json")
    assert (status, json.loads(out)["overall_score"]) == (0, 0.75)
    # The same output is not judged twice.
    assert len(judge.record) == 1


def test_why_a_run_is_not_evaluated(
    cli: Cli, project: Path, judge: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begun(cli)
    status, _, err = cli("runs", "complete", run_id)
    assert (status, err) == (
        0,
        "not evaluated: its agent has no rubric and no objective (`kaizen agents update bot --objective "
        "TEXT`)\n",
    )
    with_objective(cli)
    empty = json.loads(cli("runs", "create", "--json")[1])["id"]
    assert cli("runs", "complete", empty)[2] == "not evaluated: it has no output to judge\n"
    for name in ("API_KEY", "AUTH_TOKEN", "CONFIG_DIR", "PROFILE"):
        monkeypatch.delenv(f"ANTHROPIC_{name}", raising=False)
    # Where the SDK looks for a profile.
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(project))
    status, _, err = cli("runs", "complete", run_id)
    assert (status, err) == (
        0,
        "not evaluated: there is no key for the judge: set ANTHROPIC_API_KEY, and give the same command "
        "again\n",
    )
    # None of that was an evaluation, after which a cooldown begins.
    assert (evaluations(project), judge.record) == ([], [])


def test_checks_need_no_key(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    rubric = "name: bot\ncriteria: [{name: short, check: {max_length: 20}, weight: 1}]\n"
    (project / "bot.yaml").write_text(rubric)
    (project / "kaizen.yaml").write_text("agents: {bot: {rubric: bot.yaml}}\n")
    status, out, _ = cli("runs", "complete", begun(cli), "--json")
    assert (status, json.loads(out)["overall_score"]) == (0, 1.0)


def test_an_evaluation_that_fails(cli: Cli, project: Path, judge: ScriptedLLM) -> None:
    with_objective(cli)
    judge.fail(400, message="no such model")
    status, out, err = cli("runs", "complete", begun(cli))
    assert (status, out.splitlines()[2].split()[1]) == (1, "completed")
    assert err.startswith("kaizen: the run is completed; its evaluation failed: ")
    assert "no such model" in err
    ((state, error),) = evaluations(project)
    assert (state, "no such model" in (error or "")) == (JobStatus.FAILED, True)


def test_a_run_that_is_not_there(cli: Cli, project: Path) -> None:
    status, out, err = cli("runs", "complete", "11111111-1111-4111-8111-111111111111")
    assert (status, out) == (1, "")
    assert err == "kaizen: agent 'bot' has no run '11111111-1111-4111-8111-111111111111'\n"
    assert evaluations(project) == []
