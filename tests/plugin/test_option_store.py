"""``--kaizen-store`` and its other places."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.store import Store

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite


@pytest.fixture
def calling(suite: Suite) -> Suite:
    suite.write("def test_it(ask):\n    ask()")
    return suite


def traces_in(path: Path) -> int:
    with Store.open(path, readonly=True) as store:
        return len(store.traces())


def test_by_default_the_store_is_beside_the_suite_and_kept_out_of_git(calling: Suite) -> None:
    calling.run(passed=1)
    assert traces_in(calling.root / ".kaizen" / "kaizen.db") == 1
    assert (calling.root / ".kaizen" / ".gitignore").read_text() == "*\n"


def test_the_option_names_another_file(calling: Suite) -> None:
    calling.run("--kaizen-store", "data/runs.db", passed=1)
    assert traces_in(calling.root / "data" / "runs.db") == 1
    assert not (calling.root / ".kaizen").exists()


def test_an_absolute_path(calling: Suite, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "k.db"
    calling.run("--kaizen-store", str(elsewhere), passed=1)
    assert traces_in(elsewhere) == 1


def test_command_line_then_environment_then_ini_then_yaml(
    calling: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    calling.write("store: from_yaml.db", "kaizen.yaml")
    calling.run(passed=1)
    assert traces_in(calling.root / "from_yaml.db") == 1

    calling.write("[pytest]\nkaizen_store = from_ini.db", "pytest.ini")
    calling.run(passed=1)
    assert traces_in(calling.root / "from_ini.db") == 1

    monkeypatch.setenv("KAIZEN_STORE", "from_env.db")
    calling.run(passed=1)
    assert traces_in(calling.root / "from_env.db") == 1

    calling.run("--kaizen-store", "from_cli.db", passed=1)
    assert traces_in(calling.root / "from_cli.db") == 1
    assert traces_in(calling.root / "from_yaml.db") == 1


def test_pyproject_is_read_like_an_ini_file(calling: Suite) -> None:
    calling.write('[tool.pytest.ini_options]\nkaizen_store = "p.db"', "pyproject.toml")
    calling.run(passed=1)
    assert traces_in(calling.root / "p.db") == 1


def test_runs_add_to_one_store(calling: Suite) -> None:
    calling.run(passed=1)
    calling.run(passed=1)
    with calling.store as store:
        assert [run.status for run in store.runs()] == ["completed", "completed"]
    assert traces_in(calling.database) == 2


def test_a_suite_in_a_folder_below_keeps_its_own_store(calling: Suite) -> None:
    calling.write("", "packages/bot/kaizen.yaml")
    calling.write("def test_it(ask):\n    ask()", "packages/bot/test_bot.py")
    calling.write("[pytest]", "pytest.ini")
    calling.run("packages/bot", passed=1)
    assert traces_in(calling.root / "packages/bot/.kaizen/kaizen.db") == 1
    assert not calling.database.exists()
