"""``kaizen agents`` and the runs of agents, on this machine and over a server."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pytest_kaizen.models import Agent, AgentRun, AgentRunStatus
from pytest_kaizen.platforms.kate import Enqueued
from pytest_kaizen.platforms.kate.client import Runs
from pytest_kaizen.store import Store
from tests.cli.conftest import Cli, Side

RUN = "11111111-1111-4111-8111-111111111111"
SPANS: list[dict[str, Any]] = [
    {"name": "plan", "span_kind": "CHAIN"},
    {
        "node_name": "answer",
        "span_kind": "LLM",
        "input_text": "Where is it?",
        "output_text": "On its \x1b[31mway",
        "model": "claude-haiku-4-5",
        "latency_ms": 12.5,
        "token_count": 7,
    },
]


def asked(side: Side, *arguments: str) -> Any:
    status, out, err = side.cli(*arguments, "--json")
    assert status == 0
    # On this machine the command itself evaluates a run, and says what came of it.
    assert not err or (arguments[1] == "complete" and err.startswith("not evaluated: "))
    return json.loads(out)


def test_an_agent_from_first_to_last(side: Side) -> None:
    assert side.cli("agents", "list")[1] == "no agents yet; make one: `kaizen agents create NAME`\n"
    bot = asked(side, "agents", "create", "bot", "--objective", "help people")
    assert str(UUID(bot["id"])) == bot["id"]
    assert {name: bot[name] for name in ("name", "domain", "objective", "status")} == {
        "name": "bot",
        "domain": "general",
        "objective": "help people",
        "status": "active",
    }
    other = asked(side, "agents", "create", "other", "--domain", "law")
    assert asked(side, "agents", "list") == [other, bot]
    assert asked(side, "agents", "show", bot["id"]) == bot

    changed = asked(side, "agents", "update", bot["id"], "--name", "clerk")
    assert {**changed, "updated_at": ""} == {**bot, "name": "clerk", "updated_at": ""}
    lines = side.cli("agents", "list")[1].splitlines()
    assert [line.split()[1:3] for line in lines[2:]] == [["other", "law"], ["clerk", "general"]]

    assert asked(side, "agents", "delete", bot["id"]) == {"deleted": bot["id"]}
    assert asked(side, "agents", "list") == [other]


def test_a_run_from_first_to_last(side: Side, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATE_AGENT_ID", "support-bot")
    (project / "spans.json").write_text(json.dumps(SPANS))
    run = asked(side, "runs", "create", "--run-id", RUN.upper(), "--trigger", "test")
    assert {**run, "created_at": ""} == {
        "id": RUN,
        "agent_id": "support-bot",
        "status": "running",
        "trigger": "test",
        "overall_score": None,
        "created_at": "",
        "completed_at": None,
    }
    assert [agent["id"] for agent in asked(side, "agents", "list")] == ["support-bot"]

    sent = asked(side, "runs", "upload", RUN, "spans.json")
    assert (sent["uploaded"], len(sent["span_ids"])) == (2, 2)
    monkeypatch.setattr("sys.stdin", io.StringIO('[{"name": "end", "span_kind": "TOOL", "error": "late"}]'))
    assert side.cli("runs", "upload", RUN, "-") == (0, "1 span added\n", "")
    spans = asked(side, "runs", "spans", RUN)
    assert [(span["node_name"], span["span_kind"], span["error"]) for span in spans] == [
        ("plan", "CHAIN", None),
        ("answer", "LLM", None),
        ("end", "TOOL", "late"),
    ]
    assert spans[1] == {**SPANS[1], "error": None}
    _, out, _ = side.cli("runs", "spans", RUN)
    assert r"On its \x1b[31mway" in out
    assert out.splitlines()[3].split()[:6] == ["answer", "LLM", "claude-haiku-4-5", "12", "ms", "7"]

    ended = asked(side, "runs", "complete", RUN)
    assert (ended["status"], ended["completed_at"] is None) == ("completed", False)
    assert asked(side, "runs", "complete", RUN) == ended
    assert asked(side, "runs", "show", RUN, "--agent", "support-bot") == ended
    status, out, err = side.cli("runs", "upload", RUN, "spans.json")
    assert (status, out) == (1, "")
    assert f"run '{RUN}' is completed; only a running one takes spans" in err

    later = asked(side, "runs", "create")
    assert asked(side, "runs", "list", "--agent", "support-bot") == [later, ended]
    assert asked(side, "runs", "list", "--agent", "support-bot", "--limit", "1") == [later]
    lines = side.cli("runs", "list", "--agent", "support-bot")[1].splitlines()
    assert [line.split()[:3] for line in lines[2:]] == [
        [later["id"], "running", "manual"],
        [RUN, "completed", "test"],
    ]


def test_a_summary_of_runs(side: Side) -> None:
    bot = asked(side, "agents", "create", "bot")["id"]
    assert side.cli("agents", "summary", bot) == (0, "No runs yet.\n", "")
    run = asked(side, "runs", "create", "--agent", bot)["id"]
    asked(side, "runs", "create", "--agent", bot)
    ended = asked(side, "runs", "complete", run, "--agent", bot)
    assert ended["status"] == "completed"
    assert {**asked(side, "agents", "summary", bot), "updated_at": ""} == {
        "intelligence_summary": "2 runs: 1 completed, 1 running; none evaluated.",
        "updated_at": "",
        "overall_score": None,
        "recommendations": [],
        "regression_detected": False,
    }


def test_a_summary_of_evaluated_runs(here: Side, cli: Cli, project: Path) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with Store.open(project / ".kaizen/kaizen.db") as store:
        store.agents.add(Agent(id="bot", name="bot", created_at=now, updated_at=now))
        store.agents.add_run(
            AgentRun(
                agent_id="bot",
                trigger="test",
                status=AgentRunStatus.COMPLETED,
                overall_score=0.625,
                created_at=now,
                completed_at=now,
            )
        )
    assert cli("agents", "summary", "bot")[1] == "1 run: 1 completed; 1 evaluated.\nscore: 0.625\n"
    assert asked(here, "runs", "list", "--agent", "bot")[0]["overall_score"] == 0.625
    assert cli("runs", "list", "--agent", "bot")[1].splitlines()[2].split()[3] == "0.625"


REFUSED = (
    (["agents", "show", "nobody"], 1, "there is no agent 'nobody'"),
    (["agents", "summary", "nobody"], 1, "there is no agent 'nobody'"),
    (["agents", "update", "nobody"], 2, "nothing to do: give --name, --domain or --objective"),
    (["agents", "update", "nobody", "--name", "x"], 1, "there is no agent 'nobody'"),
    (["agents", "delete", "nobody"], 1, "there is no agent 'nobody'"),
    (["runs", "create"], 2, "no agent: give --agent, or set KATE_AGENT_ID in the environment"),
    (["runs", "create", "--agent", RUN], 1, f"there is no agent '{RUN}'"),
    (["runs", "create", "--agent", "a b"], 1, "there is no agent 'a b'"),
    (["runs", "create", "--agent", "bot", "--run-id", "7"], 2, "expected a UUID (found '7')"),
    (["runs", "show", RUN, "--agent", "support-bot"], 1, f"agent 'support-bot' has no run '{RUN}'"),
    (["runs", "complete", RUN, "--agent", "support-bot"], 1, f"agent 'support-bot' has no run '{RUN}'"),
    (["runs", "upload", RUN, "none.json", "--agent", "bot"], 2, "none.json: cannot be read"),
    (["runs", "upload", RUN, "text.md", "--agent", "bot"], 2, "text.md: not JSON"),
    (["runs", "upload", RUN, "kind.json", "--agent", "bot"], 2, "kind.json: spans.0.span_kind: "),
)


def test_what_cannot_be(side: Side, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KATE_AGENT_ID", raising=False)
    (project / "text.md").write_text("# no JSON")
    (project / "kind.json").write_text('[{"node_name": "a", "span_kind": "DREAM"}]')
    asked(side, "runs", "create", "--agent", "support-bot")
    for arguments, status, said in REFUSED:
        found, out, err = side.cli(*arguments)
        assert (found, out, said in err) == (status, "", True), (arguments, err)


def test_a_run_that_is_there_already(side: Side) -> None:
    asked(side, "runs", "create", "--agent", "bot", "--run-id", RUN)
    status, _, err = side.cli("runs", "create", "--agent", "bot", "--run-id", RUN)
    assert status == 1
    assert f"there is a run '{RUN}' already" in err


def test_only_a_server_runs_agents(here: Side, cli: Cli) -> None:
    asked(here, "runs", "create", "--agent", "bot")
    assert cli("runs", "enqueue", "Hello", "--agent", "bot") == (
        2,
        "",
        "kaizen: a server runs agents; name it: --server URL\n",
    )


def test_an_agent_that_no_operator_declared_is_not_run(there: Side) -> None:
    asked(there, "runs", "create", "--agent", "bot")
    status, out, err = there.cli("runs", "enqueue", "Hello", "--agent", "bot")
    assert (status, out) == (1, "")
    assert "has not declared how to run agent 'bot'" in err


def test_an_agent_that_is_run_by_a_server(there: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it takes to declare one is the server's business."""

    async def enqueue(_runs: object, *asked: str, user_input: str) -> Enqueued:
        assert (asked, user_input) == (("bot", "test"), "Hello")
        return Enqueued(run_id=RUN, job_id="20260301-1", status="queued")

    monkeypatch.setattr(Runs, "enqueue", enqueue)
    command = ("runs", "enqueue", "Hello", "--agent", "bot", "--trigger", "test")
    assert there.cli(*command) == (0, f"run {RUN} is queued: job 20260301-1\n", "")
    assert asked(there, *command) == {"run_id": RUN, "job_id": "20260301-1", "status": "queued"}


def test_a_server_has_no_test_runs(there: Side) -> None:
    said = "kaizen: a server has runs of agents: name one with --agent; test runs are on this machine\n"
    assert there.cli("runs", "list") == (2, "", said)


def test_secrets_are_not_kept_here(here: Side, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-0123456789abcdefghij")
    said = "it leaks sk-proj-0123456789abcdefghij"
    (project / "spans.json").write_text(json.dumps([{"name": "plan", "output": said}]))
    bot = asked(here, "agents", "create", "bot", "--objective", said)
    changed = asked(here, "agents", "update", bot["id"], "--name", said)
    run = asked(here, "runs", "create", "--agent", bot["id"])
    asked(here, "runs", "upload", run["id"], "spans.json", "--agent", bot["id"])
    (span,) = asked(here, "runs", "spans", run["id"], "--agent", bot["id"])
    for kept in (bot["objective"], changed["name"], span["output_text"]):
        assert "it leaks" in kept
        assert "0123456789" not in kept


def test_deleting_asks_where_somebody_can_answer(
    here: Side, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(here, "runs", "create", "--agent", "bot")
    monkeypatch.setattr("pytest_kaizen.cli.agents.agreed", lambda _: False)
    assert cli("agents", "delete", "bot") == (1, "", "nothing was deleted\n")
    assert [agent["id"] for agent in asked(here, "agents", "list")] == ["bot"]
    assert cli("agents", "delete", "bot", "--force") == (0, "deleted bot\n", "")
    assert asked(here, "agents", "list") == []
