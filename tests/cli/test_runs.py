from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.models import Case, GateResult, Outcome, Run, Sample, Scope, Trace
from pytest_kaizen.store import Store

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``kaizen runs …`` in a project's folder; gives status, output and error output."""
    (tmp_path / "kaizen.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAIZEN_STORE", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["runs", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / ".kaizen" / "kaizen.db"
    with Store.open(path) as store:
        for day in (1, 2, 3):
            store.start_run(Run(id=f"2026030{day}-ab{day}", created_at=datetime(2026, 3, day, tzinfo=UTC)))
        case = Case(id="test_it", run_id="20260303-ab3", task="sum")
        store.finish_case(case, begins=True)
        trace = Trace(id="t1", name="test_it", created_at=datetime(2026, 3, 3, tzinfo=UTC))
        store.add_sample(case, Sample(trace=trace, passed=True, metrics={"score": 0.75}))
        sentence = "score 0.75 is below 0.8"
        case.gates = [
            GateResult(
                scope=Scope.CASE, task="sum", name="score", bar="", outcome=Outcome.FAIL, sentence=sentence
            )
        ]
        store.finish_case(case)
    return path


@pytest.mark.usefixtures("database")
def test_list(command: Command) -> None:
    status, output, error = command("list")
    assert (status, error) == (0, "")
    assert [line.split()[0] for line in output.splitlines()[2:]] == [
        "20260303-ab3",
        "20260302-ab2",
        "20260301-ab1",
    ]


@pytest.mark.usefixtures("database")
def test_list_as_json_is_a_bare_array(command: Command) -> None:
    status, output, error = command("list", "--limit", "2", "--json")
    assert (status, error) == (0, "")
    assert [run["id"] for run in json.loads(output)] == ["20260303-ab3", "20260302-ab2"]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("run", ["last", "20260303-ab3", "20260303"])
def test_show(command: Command, run: str) -> None:
    status, output, error = command("show", run)
    assert (status, error) == (0, "")
    assert output.startswith("run      20260303-ab3\n")
    assert "fail: score 0.75 is below 0.8" in output
    shown = json.loads(command("show", run, "--json")[1])
    assert shown["id"] == "20260303-ab3"
    assert [(case["id"], case["samples"][0]["trace_id"]) for case in shown["cases"]] == [("test_it", "t1")]


def test_show_what_is_not_there(command: Command, database: Path) -> None:
    assert command("show", "x") == (
        1,
        "",
        f"kaizen: {database}: no run 'x'; the newest are 20260303-ab3, 20260302-ab2, 20260301-ab1\n",
    )
    assert command("show", "2026", "--json") == (
        1,
        "",
        f"kaizen: {database}: run '2026' is ambiguous: 20260301-ab1, 20260302-ab2, 20260303-ab3; "
        "give more of the id\n",
    )


@pytest.mark.parametrize("arguments", [("list",), ("list", "--json"), ("show", "last")])
def test_without_a_store(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    path = tmp_path / ".kaizen" / "kaizen.db"
    assert command(*arguments) == (
        1,
        "",
        f"kaizen: {path}: there is no store here yet; `pytest --kaizen` makes one\n",
    )
    assert not path.parent.exists()


def test_an_empty_store(command: Command, tmp_path: Path) -> None:
    Store.open(tmp_path / ".kaizen" / "kaizen.db").close()
    assert command("list") == (0, "no runs yet\n", "")
    assert command("list", "--json") == (0, "[]\n", "")


def test_the_store_that_is_configured(command: Command, tmp_path: Path) -> None:
    Store.open(tmp_path / "elsewhere.db").close()
    (tmp_path / "kaizen.yaml").write_text("store: elsewhere.db\n")
    assert command("list") == (0, "no runs yet\n", "")


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_a_limit_that_is_none(command: Command, capsys: pytest.CaptureFixture[str], limit: str) -> None:
    with pytest.raises(SystemExit) as caught:
        command("list", f"--limit={limit}")
    assert caught.value.code == 2
    expected = f"argument --limit: expected a whole number, 1 or more (found '{limit}')"
    assert expected in capsys.readouterr().err
