from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.capture import Redactor
from pytest_kaizen.capture.cassettes import Matcher, cassette_path, read_cassette, record_names
from pytest_kaizen.cli import main
from pytest_kaizen.models import Case, Run, Sample, Span, Trace
from pytest_kaizen.store import Store

Check = Callable[..., tuple[int, list[str]]]
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Run ``kaizen cassettes check`` in a project's folder; gives status and lines."""
    (tmp_path / "kaizen.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAIZEN_STORE", raising=False)

    def run(*arguments: str) -> tuple[int, list[str]]:
        status = main(["cassettes", "check", *arguments])
        return status, capsys.readouterr().out.splitlines()

    return run


def add(root: Path, test: str, *asked: str, prompts: dict[str, Any] | None = None) -> list[str]:
    """Write a cassette; return the names of its records."""
    exchanges = [
        {
            "sample": 0,
            "prompts": prompts or {},
            "request": {"method": "POST", "url": "https://x.test/v1/messages", "json": {"ask": text}},
            "response": {"status": 200, "headers": {}, "json": {}},
            "latency_ms": 1,
        }
        for text in asked
    ]
    path = cassette_path(root / "tests/test_it.py", test)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"kaizen_cassette": 1, "test": test, "exchanges": exchanges}), encoding="utf-8"
    )
    file = read_cassette(path, Matcher(Redactor({})))
    assert file is not None
    return record_names(path.relative_to(root).as_posix(), file.records)


def write_test(root: Path, *names: str) -> None:
    path = root / "tests/test_it.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"def {name}(): ...\n" for name in names), encoding="utf-8")


def store_run(root: Path, used: dict[str, list[str]], *, mode: str = "new", complete: bool = True) -> None:
    with Store.open(root / ".kaizen/kaizen.db") as store:
        number = len(store.runs())
        run = Run(id=f"run-{number}", created_at=NOW.replace(hour=number), config={"record": mode})
        store.start_run(run)
        for test, names in used.items():
            case = Case(id=f"tests/test_it.py::{test}", run_id=run.id, task="t", complete=complete)
            store.finish_case(case, begins=True)
            spans = [
                Span(id=str(n), name="chat", started_at=NOW, metadata={"records": [name]})
                for n, name in enumerate(names)
            ]
            trace = Trace(id=f"{number}{test}", run_id=run.id, name=test, created_at=NOW, spans=spans)
            store.add_sample(case, Sample(trace=trace))
            store.finish_case(case)


def test_nothing_there(check: Check) -> None:
    assert check() == (0, ["0 cassettes: nothing to look at"])
    assert check("--json") == (0, ["[]"])


def test_what_no_run_is_known_of(check: Check, tmp_path: Path) -> None:
    write_test(tmp_path, "test_a")
    names = add(tmp_path, "test_a", "one")
    status, lines = check()
    assert (status, lines[0]) == (0, "1 cassette: nothing to look at")
    assert lines[1].startswith("what is used is not known: no run in the store replayed or recorded")
    store_run(tmp_path, {"test_a": []}, mode="live")
    assert len(check()[1]) == 2
    store_run(tmp_path, {"test_a": names})
    assert check() == (0, ["1 cassette: nothing to look at"])


def test_records_that_nothing_uses(check: Check, tmp_path: Path) -> None:
    write_test(tmp_path, "test_a", "test_b")
    one, _, three = add(tmp_path, "test_a", "one", "two", "three")
    add(tmp_path, "test_b", "one")
    store_run(tmp_path, {"test_a": [one]})
    store_run(tmp_path, {"test_a": [one, three]})
    store_run(tmp_path, {"test_a": []}, complete=False)
    assert check() == (
        1,
        [
            "tests/cassettes/test_it/test_a.json: exchange 1 was not used by the last run of its test",
            "tests/cassettes/test_it/test_b.json was not used: test_b is in none of the last 20 runs",
            "2 cassettes: 2 to look at",
            "to record anew and drop what is not called: pytest --kaizen --kaizen-record=all",
        ],
    )
    status, lines = check("--json")
    assert status == 1
    assert json.loads("\n".join(lines))[0] == {
        "path": "tests/cassettes/test_it/test_a.json",
        "exchange": 1,
        "problem": "was not used by the last run of its test",
    }


def test_tests_that_are_gone(check: Check, tmp_path: Path) -> None:
    add(tmp_path, "test_a[x]", "one")
    assert (
        check()[1][0] == "tests/cassettes/test_it/test_a-x.json is of no use: there is no test_it.py any more"
    )
    write_test(tmp_path, "test_b")
    assert check()[1][0] == (
        "tests/cassettes/test_it/test_a-x.json is of no use: there is no test_a in test_it.py any more"
    )
    (tmp_path / "tests/test_it.py").write_text("class TestIt(Base): ...", encoding="utf-8")
    assert check()[0] == 0


def test_another_prompt_version(check: Check, tmp_path: Path) -> None:
    folder = tmp_path / "prompts/greet"
    folder.mkdir(parents=True)
    for number in (1, 2):
        (folder / f"{number}.md").write_text(f"text {number}", encoding="utf-8")
    write_test(tmp_path, "test_a", "test_b")
    add(tmp_path, "test_a", "one", prompts={"greet": {"version": 1, "sha256": "ab" * 32}})
    add(tmp_path, "test_b", "one", prompts={"part": {"version": 1, "sha256": "ab" * 32}})
    status, lines = check()
    assert status == 1
    assert lines[0].startswith(
        "tests/cassettes/test_it/test_a.json: exchange 0 was recorded under version 1 of prompt 'greet' "
        "(abababab); active is version 2 ("
    )
    assert lines[1].endswith("exchange 0 was recorded under prompt 'part', which is not there any more")


def test_broken_files_are_listed_and_others_left_alone(check: Check, tmp_path: Path) -> None:
    write_test(tmp_path, "test_a")
    folder = tmp_path / "tests/cassettes/test_it"
    folder.mkdir(parents=True)
    (folder / "test_a.json").write_text("{", encoding="utf-8")
    (folder / "test_b.yaml").write_text("- of another tool", encoding="utf-8")
    hidden = tmp_path / ".venv/cassettes/test_x"
    hidden.mkdir(parents=True)
    (hidden / "test_c.json").write_text("{", encoding="utf-8")
    status, lines = check()
    assert status == 1
    assert lines[0].startswith("tests/cassettes/test_it/test_a.json not valid JSON: ")
    assert lines[1] == "1 cassette: 1 to look at"
