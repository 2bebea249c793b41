from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def many(project: Path) -> list[str]:
    """Twelve files in two folders, among them two of one base name; the names that they get."""
    for folder in ("a", "b"):
        (project / "many" / folder).mkdir(parents=True)
        for number in range(5):
            (project / "many" / folder / f"{folder}{number}.txt").write_text(f"{folder} {number}")
        (project / "many" / folder / "same.md").write_text(f"# {folder}\nsame")
    names = [f"{folder}{number}.txt" for folder in "ab" for number in range(5)]
    return [*names, "a/same.md", "b/same.md"]


def write_plan(path: str, **files: list[str]) -> None:
    found = {name: {"description": f"all of {name}", "trace_files": names} for name, names in files.items()}
    Path(path).write_text(json.dumps({"batches": found}))


def test_prepare(many: list[str], cli: Cli, project: Path) -> None:
    status, out, err = cli("batch", "many")
    assert status == 0
    assert err == "12 traces; fill in batches.json, then: kaizen batch many --apply batches.json\n"
    traces = json.loads(out[out.index("[\n") : out.index("\n]") + 2])
    assert sorted(trace["filename"] for trace in traces) == sorted(many)
    assert "a batch has 10 to 30 traces" in out
    assert json.loads((project / "batches.json").read_text()) == {
        "batches": {},
        "summary": {"total_traces": 12, "num_batches": 0, "batch_sizes": {}},
    }


def test_a_prompt_of_ones_own(cli: Cli, project: Path) -> None:
    (project / "logs" / "one.md").write_text("{constraints}")
    (project / "my.txt").write_text("Do {this}: {constraints}\n{traces_json}")
    _, out, _ = cli("batch", "logs/one.md", "--prompt", "my.txt", "-o", "plan.json")
    assert out.startswith("Do {this}: - every trace is in exactly one batch\n- a batch has 1 to 30 traces\n")
    assert json.loads(out[out.index("[\n") :]) == [
        {
            "filename": "one.md",
            "type": "md",
            "size": 13,
            "first_lines": ["{constraints}"],
            "headings": [],
        }
    ]
    assert (project / "plan.json").is_file()
    assert not (project / "batches.json").exists()


def test_facts_as_json(cli: Cli) -> None:
    facts = json.loads(cli("batch", "logs", "--json")[1])
    assert [(fact["filename"], fact["type"], fact["size"]) for fact in facts] == [
        ("one.md", "md", 47),
        ("two.json", "json", 35),
    ]


def test_a_filled_plan_is_kept(many: list[str], cli: Cli, project: Path) -> None:
    write_plan("batches.json", all=many)
    before = (project / "batches.json").read_text()
    status, out, err = cli("batch", "many")
    assert (status, out) == (2, "")
    assert err.startswith("kaizen: batches.json: holds batches already; ")
    assert (project / "batches.json").read_text() == before


def test_apply(many: list[str], cli: Cli, project: Path) -> None:
    write_plan("plan.json", all=many)
    status, out, err = cli("batch", "many", "--apply", "plan.json", "-o", "done.json")
    assert (status, err) == (0, "")
    assert [line.split() for line in out.splitlines()][2:] == [["all", "12", "all", "of", "all"]]
    assert json.loads((project / "done.json").read_text())["summary"] == {
        "total_traces": 12,
        "num_batches": 1,
        "batch_sizes": {"all": 12},
    }
    assert not (project / ".kaizen").exists()


def test_every_violation_is_named(many: list[str], cli: Cli) -> None:
    first = [*many[:9], many[0], "ghost.txt"]
    write_plan("plan.json", first=first, second=many[8:11])
    arguments = ("batch", "many", "--apply", "plan.json", "--upload", "--max-batch-size", "10")
    status, out, err = cli(*arguments)
    assert (status, out) == (1, "")
    assert [line.removeprefix("kaizen: plan.json: ") for line in err.splitlines()] == [
        "batch 'first': 'a0.txt' is in it 2 times",
        "batch 'first': has 11 traces (expected 10 to 10)",
        "batch 'second': has 3 traces (expected 10 to 10)",
        "'ghost.txt' is no trace (in batch 'first')",
        "'b3.txt' is in 'first' and 'second'",
        "'b/same.md' is in no batch",
    ]
    assert len(json.loads(cli(*arguments, "--json")[1])["violations"]) == 6


@pytest.mark.parametrize("plan", [[], {}, {"batches": []}, {"batches": {"a": {}}}, {"batches": {"a": []}}])
def test_no_plan(plan: Any, cli: Cli, project: Path) -> None:
    (project / "plan.json").write_text(json.dumps(plan))
    status, _, err = cli("batch", "logs", "--apply", "plan.json")
    assert status == 1
    assert err.startswith("kaizen: plan.json: ")


def test_upload(many: list[str], cli: Cli) -> None:
    write_plan("plan.json", a=many[:6], b=many[6:])
    status, out, err = cli(
        "batch", "many", "--apply", "plan.json", "--upload", "--min-batch-size", "6", "--json"
    )
    assert (status, err) == (0, "a: 6 uploaded\nb: 6 uploaded\n")
    uploaded = json.loads(out)["uploaded"]
    stored = {trace["id"]: trace["filename"] for trace in json.loads(cli("traces", "list", "--json")[1])}
    assert [stored[trace_id] for trace_id in uploaded["a"]] == many[:6]
    assert [stored[trace_id] for trace_id in uploaded["b"]] == many[6:]


def test_a_thousand_files_of_one_name(cli: Cli, project: Path) -> None:
    for number in range(1000):
        folder = project / "runs" / f"{number:04}"
        folder.mkdir(parents=True)
        (folder / "trace.json").write_text(json.dumps({"task_id": f"t{number}"}))
    facts = json.loads(cli("batch", "runs", "--json")[1])
    assert [fact["filename"] for fact in facts] == [f"{number:04}/trace.json" for number in range(1000)]
    assert facts[999]["task_id"] == "t999"
    names = [fact["filename"] for fact in facts]
    write_plan("plan.json", **{f"b{start}": names[start : start + 25] for start in range(0, 1000, 25)})
    status, out, _ = cli("batch", "runs", "--apply", "plan.json", "--upload", "--json")
    assert (status, json.loads(out)["summary"]["total_traces"]) == (0, 1000)


def test_the_same_name_in_two_folders_given(cli: Cli, project: Path) -> None:
    for folder in ("x", "y"):
        (project / folder).mkdir()
        (project / folder / "t.txt").write_text(folder)
    facts = json.loads(cli("batch", "x", "y", "x/t.txt", "--json")[1])
    assert [fact["filename"] for fact in facts] == ["x/t.txt", "y/t.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("logs", "--upload"), "--upload needs --apply"),
        (("logs", "--min-batch-size", "9", "--max-batch-size", "8"), "--min-batch-size 9 is above"),
        (("-",), "standard input is a single trace"),
        (("nowhere",), "nowhere: cannot be read"),
        (("logs", "--apply", "nowhere.json"), "nowhere.json: cannot be read"),
        (("logs", "--apply", "logs/one.md"), "logs/one.md: is not JSON"),
        (("logs", "--apply", "p.json", "--prompt", "p.txt"), "--prompt and --apply exclude each other"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str, cli: Cli) -> None:
    status, out, err = cli("batch", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"kaizen: {message}")


def test_bounds_that_nothing_can_keep_are_warned_of(cli: Cli) -> None:
    _, _, err = cli("batch", "logs", "--min-batch-size", "1", "--max-batch-size", "1")
    assert "warning" not in err
    for name in ("c", "d", "e"):
        Path(f"logs/{name}.txt").touch()
    _, _, err = cli("batch", "logs", "--min-batch-size", "3", "--max-batch-size", "4")
    assert err.startswith("kaizen: warning: 5 traces cannot be parted into batches of 3 to 4; ")
