"""``kaizen tasks`` and ``kaizen feedback``, on this machine and over a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, Side


def asked(side: Side, *arguments: str) -> Any:
    status, out, err = side.cli(*arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_a_task_from_first_to_last(side: Side) -> None:
    made = asked(
        side,
        "tasks",
        "create",
        "triage",
        "--model",
        "claude-haiku-4-5",
        "--threshold",
        "2000",
        "--description",
        "Sort.",
    )
    known = ("name", "description", "target_model", "feedback_threshold", "feedback_retention_limit")
    assert [made[name] for name in known] == ["triage", "Sort.", "claude-haiku-4-5", 2000, 2000]
    other = asked(side, "tasks", "create", "other\x1b[31m", "--evaluator", '{"type": "exact_match"}')
    assert asked(side, "tasks", "list") == [other, made]
    assert asked(side, "tasks", "list", "--limit", "1") == [other]
    assert asked(side, "tasks", "show", "triage") == asked(side, "tasks", "show", made["id"]) == made
    rows = [line.split() for line in side.cli("tasks", "list")[1].splitlines()[2:]]
    assert [row[:5] for row in rows] == [
        [r"other\x1b[31m", "0", "0/50", "exact_match", rows[0][4]],
        ["triage", "0", "0/2000", "claude-haiku-4-5", "judge"],
    ]
    assert "feedback: 0 (0 of 2000 since the last search)\n" in side.cli("tasks", "show", "triage")[1]

    status, out, err = side.cli("tasks", "create", "triage")
    assert (status in (1, 2), out) == (True, "")
    assert "a task 'triage'" in err
    assert asked(side, "tasks", "delete", "triage") == {"deleted": "triage"}
    assert asked(side, "tasks", "list") == [other]
    status, out, err = side.cli("tasks", "delete", "triage")
    assert (status in (1, 2), out) == (True, "")
    assert "no task 'triage'" in err


def test_feedback_makes_its_task(side: Side, project: Path) -> None:
    said = side.cli("feedback", "add", "--task", "triage", "--inputs", '{"ticket": "x"}', "--score", "0.5")
    assert said == (0, "triage: 1 logged, 1 of 50 since the last search\n", "")
    lines = ['{"output": "late", "source": "user_rating", "metadata": {"who": "me"}}', "", '{"score": 1}']
    (project / "more.jsonl").write_text("\n".join(lines))
    assert side.cli("feedback", "add", "--task", "triage", "--file", "more.jsonl")[1] == (
        "triage: 2 logged, 3 of 50 since the last search\n"
    )
    assert asked(side, "feedback", "add", "--task", "other", "--score", "1") == {
        "task": "other",
        "logged": 1,
        "fresh": 1,
        "threshold": 50,
    }
    found = asked(side, "feedback", "list", "--task", "triage")
    assert [(entry["inputs"], entry["output"], entry["score"], entry["source"]) for entry in found] == [
        (None, None, 1.0, "sdk"),
        (None, "late", None, "user_rating"),
        ({"ticket": "x"}, None, 0.5, "sdk"),
    ]
    assert found[1]["metadata_"] == {"who": "me"}
    assert asked(side, "feedback", "list", "--task", "triage", "--limit", "1") == found[:1]
    rows = [line.split()[2:] for line in side.cli("feedback", "list", "--task", "triage")[1].splitlines()[2:]]
    assert rows == [["1.00", "sdk"], ["user_rating", "late"], ["0.50", "sdk", '{"ticket":', '"x"}']]


def test_a_file_of_examples(side: Side, project: Path) -> None:
    """Seeds start no search."""
    (project / "seeds.jsonl").write_text('{"output": "a", "score": 1}\n{"output": "b", "source": "me"}\n')
    assert side.cli("feedback", "add", "--task", "triage", "--file", "seeds.jsonl", "--source", "seed") == (
        0,
        "triage: 2 logged, 1 of 50 since the last search\n",
        "",
    )
    found = asked(side, "feedback", "list", "--task", "triage")
    assert [(entry["output"], entry["source"]) for entry in found] == [("b", "me"), ("a", "seed")]


def test_a_mistake_in_a_file_leaves_all_out(side: Side, project: Path) -> None:
    asked(side, "tasks", "create", "triage")
    (project / "bad.jsonl").write_text('{"score": 1}\n{"score": 7}\n')
    status, out, err = side.cli("feedback", "add", "--task", "triage", "--file", "bad.jsonl")
    assert (status, out) == (2, "")
    assert "bad.jsonl:2: score: Input should be less than or equal to 1 (found 7)" in err
    assert asked(side, "feedback", "list", "--task", "triage") == []


def test_json_is_alone_where_a_search_follows(here: Side, cli: Cli) -> None:
    asked(here, "tasks", "create", "triage", "--threshold", "1")
    status, out, err = cli("feedback", "add", "--task", "triage", "--score", "1", "--json")
    assert (status, json.loads(out)["fresh"]) == (0, 1)
    assert err == "enough for a search: `kaizen optimize triage`\n"


def test_deleting_asks_where_somebody_can_answer(
    here: Side, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(here, "tasks", "create", "triage")
    monkeypatch.setattr("pytest_kaizen.cli.feedback.agreed", lambda _: False)
    assert cli("tasks", "delete", "triage") == (1, "", "nothing was deleted\n")
    assert cli("tasks", "delete", "triage", "--force") == (0, "deleted triage\n", "")
