"""``kaizen tasks`` and ``kaizen feedback``, on this machine and over a server."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.pipeline.pulls import TOKEN_KIND, TOKEN_NAME
from pytest_kaizen.store.workspaces import Workspaces
from tests.cli.conftest import Cli, Served, Side


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


SEEDS = (
    b'\xef\xbb\xbf{"inputs": {"ticket": "x"}, "output": "a"}\n\n'
    b'{"inputs": {"ticket": "y"}, "output": "b", "score": 1}\n'
)


def test_seeds_of_a_task(side: Side, project: Path) -> None:
    asked(side, "tasks", "create", "triage", "--threshold", "1")
    (project / "seeds.jsonl").write_bytes(SEEDS)
    assert side.cli("tasks", "seed", "triage", "seeds.jsonl") == (
        0,
        "triage: 2 examples added; it has 2 of 1000 at most\n",
        "",
    )
    found = asked(side, "feedback", "list", "--task", "triage")
    assert [(entry["output"], entry["score"], entry["source"]) for entry in found] == [
        ("b", 1.0, "seed"),
        ("a", None, "seed"),
    ]
    # They start no search.
    assert asked(side, "tasks", "show", "triage")["threshold_progress"] == "0/1"
    assert asked(side, "jobs", "list") == []


def test_a_seed_that_is_wrong_is_named_and_left_out(
    side: Side, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(side, "tasks", "create", "triage", "--schema", '{"properties": {"ticket": {}}}')
    bad = b'{"inputs": {"ticket": "x"}, "score": 7}\n{"inputs": {"mail": "x"}}\n'
    (project / "seeds.jsonl").write_bytes(bad + SEEDS.removeprefix(b"\xef\xbb\xbf"))
    status, out, err = side.cli("tasks", "seed", "triage", "seeds.jsonl")
    assert (status, out) == (1, "triage: 2 examples added, 2 left out; it has 2 of 1000 at most\n")
    first, second = err.splitlines()
    assert first.startswith("kaizen: seeds.jsonl: line 1: score: Input should be less than or equal to 1")
    assert second.startswith(
        "kaizen: seeds.jsonl: line 2: inputs of 'triage': missing: ticket; unknown: mail"
    )

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"{}\n")))
    status, out, err = side.cli("tasks", "seed", "triage", "-", "--json")
    assert (status, json.loads(out)["accepted"], json.loads(out)["rejected"]) == (1, 0, 1)
    assert err == "kaizen: -: line 1: inputs: Field required\n"

    (project / "none.jsonl").write_text("\n")
    for name, said in (("none.jsonl", "is empty; it has a JSON"), ("gone.jsonl", "cannot be read: ")):
        status, out, err = side.cli("tasks", "seed", "triage", name)
        assert (status, out, f"{name}: {said}" in err) == (2, "", True), err
    status, out, err = side.cli("tasks", "seed", "nobody", "seeds.jsonl")
    assert (status in (1, 2), out) == (True, "")
    assert "no task 'nobody'" in err


def test_what_a_task_is_given(side: Side, project: Path) -> None:
    (project / "schema.json").write_text('{"properties": {"ticket": {"type": "string"}}}')
    given = ("--schema", "schema.json", "--retention-limit", "70", "--teacher-model", "claude-opus-4-6")
    made = asked(side, "tasks", "create", "triage", *given, "--threshold", "60", "--budget-usd", "2.5")
    names = ("schema_json", "feedback_retention_limit", "teacher_model", "cost_budget")
    assert [made[name] for name in names] == [
        {"properties": {"ticket": {"type": "string"}}},
        70,
        "claude-opus-4-6",
        2.5,
    ]
    wrong = {
        ("--schema", "gone.json"): "--schema: neither a JSON object nor a file that can be read: ",
        ("--schema", "{7}"): "--schema: expected a JSON object (found '{7}')",
        ("--threshold", "0"): "expected a whole number, 1 or more (found '0')",
        ("--git-provider", "cvs"): "invalid choice: 'cvs'",
    }
    for arguments, said in wrong.items():
        status, out, err = side.cli("tasks", "create", "other", *arguments)
        assert (status, out, said in err) == (2, "", True), err


GIT = {
    "mode": "pr_preview",
    "git_provider": "gitlab",
    "git_base_url": "https://git.example",
    "git_project": "shop/app",
    "git_repo": "app",
    "git_base_branch": "trunk",
    "prompt_path": "prompts.yaml",
    "prompt_format": "yaml",
    "prompt_file": "prompts.py",
    "prompt_locator": "texts.greet",
}


def test_how_a_server_opens_pull_requests(
    there: Side, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TOKEN", "glpat-0123456789")
    given = [word for name, value in GIT.items() for word in (f"--{name.replace('_', '-')}", value)]
    made = asked(there, "tasks", "create", "triage", *given, "--git-token", "GIT_TOKEN")
    assert {name: made[name] for name in GIT} == GIT
    assert "glpat" not in json.dumps(made)
    workspaces = Workspaces.open(served.folder)
    try:
        (place,) = workspaces.central.workspaces()
        token = workspaces.get(place.id).store.sealed.open(TOKEN_KIND, made["id"], TOKEN_NAME)
    finally:
        workspaces.close()
    assert token is not None
    assert token.get_secret_value() == "glpat-0123456789"
    status, out, err = there.cli("tasks", "create", "other", "--git-token", "NOT_SET")
    assert (status, out, err) == (2, "", "kaizen: --git-token: $NOT_SET is not set\n")


def test_here_no_task_opens_pull_requests(cli: Cli) -> None:
    for option, value in (("--git-repo", "a/b"), ("--git-token", "NOT_SET"), ("--mode", "auto_pr")):
        assert cli("tasks", "create", "triage", option, value) == (
            2,
            "",
            f"kaizen: {option}: for a server, named by --server URL; on this machine `kaizen optimize triage "
            "--pr` opens the pull request\n",
        )


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
    monkeypatch.setattr("pytest_kaizen.cli.tasks.agreed", lambda _: False)
    assert cli("tasks", "delete", "triage") == (1, "", "nothing was deleted\n")
    assert cli("tasks", "delete", "triage", "--force") == (0, "deleted triage\n", "")
