from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.models import Case, Message, Part, Run, Sample, Span, Trace
from pytest_kaizen.store import Store

Command = Callable[..., tuple[int, str, str]]
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``kaizen traces …`` in a project's folder; gives status, output and error output."""
    (tmp_path / "kaizen.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAIZEN_STORE", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["traces", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Four traces, from the oldest: a1 and a2 of run one, b3 and b4 of run two; a1 and b3 of task sum."""
    path = tmp_path / ".kaizen" / "kaizen.db"
    with Store.open(path) as store:
        for number, (trace_id, run_id, task) in enumerate(
            [("a1", "one", "sum"), ("a2", "one", "say"), ("b3", "two", "sum"), ("b4", "two", "say")]
        ):
            moment = NOW + timedelta(hours=number)
            if number % 2 == 0:
                store.start_run(Run(id=run_id, created_at=moment))
            case = Case(id=f"test_{task}", run_id=run_id, task=task)
            store.finish_case(case, begins=True)
            message = Message(role="user", parts=[Part(type="text", content=f"I am \x1b[1m{trace_id}")])
            span = Span(id="s", name="chat", started_at=moment, input=[message])
            trace = Trace(
                id=trace_id, run_id=run_id, task=task, name=f"test_{task}", created_at=moment, spans=[span]
            )
            store.add_sample(case, Sample(trace=trace))
    return path


@pytest.mark.usefixtures("database")
def test_a_list_that_is_cut_says_so(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_kaizen.cli.traces.LIST_LIMIT", 4)
    assert command("list", "--json")[2] == ""
    monkeypatch.setattr("pytest_kaizen.cli.traces.LIST_LIMIT", 3)
    status, output, error = command("list", "--json")
    assert (status, [trace["id"] for trace in json.loads(output)]) == (0, ["b4", "b3", "a2"])
    assert error == "the newest 3; for more: --limit N\n"


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), ["b4", "b3", "a2", "a1"]),
        (("--limit", "3"), ["b4", "b3", "a2"]),
        (("--run", "one"), ["a2", "a1"]),
        (("--run", "t"), ["b4", "b3"]),
        (("--run", "last", "--task", "sum"), ["b3"]),
        (("--task", "sum"), ["b3", "a1"]),
        (("--task", "other"), []),
    ],
)
def test_list(command: Command, arguments: tuple[str, ...], expected: list[str]) -> None:
    status, output, error = command("list", *arguments, "--json")
    assert (status, error) == (0, "")
    assert [trace["id"] for trace in json.loads(output)] == expected
    status, output, error = command("list", *arguments)
    assert (status, error) == (0, "")
    if expected:
        assert [line.split()[0] for line in output.splitlines()[2:]] == expected
    else:
        assert output == "no traces\n"


@pytest.mark.usefixtures("database")
def test_list_for_a_collector(command: Command) -> None:
    status, output, _ = command("list", "--run", "two", "--otlp")
    (resource,) = json.loads(output)["resourceSpans"]
    roots = [span for span in resource["scopeSpans"][0]["spans"] if "parentSpanId" not in span]
    assert status == 0
    assert [root["attributes"][0] for root in roots] == [
        {"key": "kaizen.trace_id", "value": {"stringValue": trace_id}} for trace_id in ("b4", "b3")
    ]


@pytest.mark.usefixtures("database")
def test_show(command: Command) -> None:
    status, output, error = command("show", "b3")
    assert (status, error) == (0, "")
    assert output.startswith("trace    b3\n")
    assert r"I am \x1b[1mb3" in output
    assert "\x1b" not in output
    shown = json.loads(command("show", "b3", "--json")[1])
    assert (shown["id"], shown["filename"], shown["run_id"]) == ("b3", "test-sum.json", "two")
    assert shown["spans"][0]["input"][0]["parts"][0]["content"] == "I am \x1b[1mb3"


def test_what_is_not_there(command: Command, database: Path) -> None:
    assert command("show", "x") == (
        1,
        "",
        f"kaizen: {database}: no trace 'x'; the newest are b4, b3, a2, a1\n",
    )
    assert command("show", "b") == (
        1,
        "",
        f"kaizen: {database}: trace 'b' is ambiguous: b3, b4; give more of the id\n",
    )
    assert command("list", "--run", "x") == (
        1,
        "",
        f"kaizen: {database}: no run 'x'; the newest are two, one\n",
    )


def test_without_a_store(command: Command, tmp_path: Path) -> None:
    path = tmp_path / ".kaizen" / "kaizen.db"
    expected = f"kaizen: {path}: there is no store here yet; `pytest --kaizen` makes one\n"
    assert command("list", "--json") == (1, "", expected)
    assert command("show", "last") == (1, "", expected)
