from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_kaizen import __version__
from pytest_kaizen.models import ParcelKind, Run
from pytest_kaizen.pipeline import checkup
from pytest_kaizen.store import Store, sqlite

Cli = Callable[..., tuple[int, str, str]]
SECRET = "kz-9f8e7d6c5b4a39281706f5e4d3c2b1a0"


def test_a_fresh_project(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAYBA_API_KEY", SECRET)
    for name in ("ANTHROPIC_API_KEY", "KATE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    status, out, err = cli("doctor", "--json")
    found = json.loads(out)
    assert (status, err, found["errors"]) == (0, "", [])
    assert found["versions"]["pytest-kaizen"] == __version__
    assert found["versions"]["pytest"] == pytest.__version__
    assert found["versions"]["sqlite"] == sqlite.VERSION
    store = project / ".kaizen" / "kaizen.db"
    assert found["store"] == {"path": str(store), "exists": False, "bytes": 0}
    assert found["target"] == f"the store on this machine, {store}"
    assert (found["keys"]["KAYBA_API_KEY"], found["keys"]["ANTHROPIC_API_KEY"]) == (True, False)
    assert found["extras"]["cli"] == {"installed": True, "missing": []}
    assert found["settings"] == {}
    assert not store.exists()
    text = cli("doctor")[1]
    assert "not there yet" in text
    assert SECRET not in out + text


def test_where_settings_come_from(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "kaizen.yaml").write_text(
        "samples: 3\nundecided: pass\njudge: {model: m}\nbackends: {kayba: {key_env: MY_KEY}}\n"
    )
    (project / "pytest.ini").write_text("[pytest]\nkaizen_samples = 4\nkaizen_concurrency = 2\n")
    monkeypatch.setenv("KAIZEN_CONCURRENCY", "5")
    monkeypatch.setenv("MY_TOKEN", SECRET)
    monkeypatch.setenv("KAIZEN_BASELINE", SECRET)
    monkeypatch.setenv("KAIZEN_BASE_URL", "https://elsewhere.example")
    found = json.loads(cli("doctor", "--json")[1])
    assert found["settings"] == {
        "backends": {"value": None, "from": "kaizen.yaml: backends"},
        "baseline": {"value": "[redacted: $MY_TOKEN]", "from": "KAIZEN_BASELINE"},
        "concurrency": {"value": "5", "from": "KAIZEN_CONCURRENCY"},
        "judge": {"value": None, "from": "kaizen.yaml: judge"},
        "samples": {"value": "4", "from": "ini key kaizen_samples"},
        "undecided": {"value": "pass", "from": "kaizen.yaml: undecided"},
    }
    assert "MY_KEY" in found["keys"]
    assert found["target"].startswith("the store on this machine, ")


def test_the_store(cli: Cli, project: Path) -> None:
    cli("upload", "logs")
    found = json.loads(cli("doctor", "--json")[1])
    files = (project / ".kaizen").glob("kaizen.db*")
    size = sum(file.stat().st_size for file in files if file.suffix in (".db", ".db-wal"))
    assert found["store"]["exists"]
    assert found["store"]["bytes"] == size > 0
    assert "nothing is owed to any platform" in cli("doctor")[1]


def test_what_is_owed(cli: Cli, project: Path) -> None:
    where = project / ".kaizen" / "kaizen.db"
    with Store.open(where, recipients={"kate": {ParcelKind.RUN_BEGUN}}) as store:
        store.start_run(Run(id="20261122-040458-041aff", created_at=datetime(2026, 11, 22, tzinfo=UTC)))
    owed = json.loads(cli("doctor", "--json")[1])["owed"]
    assert [(each["backend"], each["owed"]) for each in owed] == [("kate", 1)]
    assert "\nowed to kate: 1 (`kaizen sync`)\n" in cli("doctor")[1]


def test_what_is_broken(cli: Cli, project: Path) -> None:
    (project / ".kaizen").mkdir()
    (project / ".kaizen" / "kaizen.db").write_text("no database")
    status, out, err = cli("doctor")
    assert (status, err) == (1, "")
    assert "\nerror: " in out
    (project / "kaizen.yaml").write_text("samples: many\n")
    status, out, err = cli("doctor")
    assert (status, err) == (1, "")
    assert out.startswith("python 3.")
    assert "/kaizen.yaml:1: samples: input should be a valid integer" in out.splitlines()[-1]


def test_an_old_sqlite_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite.sqlite3, "sqlite_version_info", (3, 51, 2))  # type: ignore[attr-defined]
    assert len(checkup.installation()["warnings"]) == 1
    monkeypatch.setattr(sqlite.sqlite3, "sqlite_version_info", (3, 51, 3))  # type: ignore[attr-defined]
    assert checkup.installation()["warnings"] == []


def test_an_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "_version", lambda name: None if name == "questionary" else "999")
    extras = checkup.installation()["extras"]
    assert not extras["cli"]["installed"]
    assert "questionary" in extras["cli"]["missing"]
    assert "dev" not in extras
