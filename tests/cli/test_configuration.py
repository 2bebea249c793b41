from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from pytest_kaizen.cli.configuration import config_for, read_ini
from pytest_kaizen.errors import ConfigError

INI = "[pytest]\nkaizen_store = from-{}\n"


def test_no_file(tmp_path: Path) -> None:
    assert read_ini(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pytest.toml", '[pytest]\nkaizen_store = "x.db"\n'),
        (".pytest.toml", '[pytest]\nkaizen_store = "x.db"\n'),
        ("pytest.ini", "[pytest]\nkaizen_store = x.db\n"),
        (".pytest.ini", "[pytest]\nkaizen_store: x.db\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\nkaizen_store = "x.db"\n'),
        ("pyproject.toml", '[tool.pytest]\nkaizen_store = "x.db"\n'),
        ("tox.ini", "[tox]\nkaizen_store = wrong\n[pytest]\nkaizen_store = x.db\n"),
        ("setup.cfg", "[metadata]\nname = %(x\n[tool:pytest]\nkaizen_store = x.db\n"),
    ],
)
def test_every_file(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert read_ini(tmp_path) == {"store": "x.db"}


def test_other_keys_and_kinds_of_values(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest]\naddopts = ["-q"]\nkaizen_samples = 3\nkaizen_prompt_version = ["a=1", "b=2"]\n'
    )
    assert read_ini(tmp_path) == {"samples": "3", "prompt_version": "a=1\nb=2"}


def test_first_file_that_configures_pytest_counts_alone(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("[tool:pytest]\nkaizen_store = from-setup\n")
    (tmp_path / "tox.ini").write_text("[tox]\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert read_ini(tmp_path) == {"store": "from-setup"}
    (tmp_path / "tox.ini").write_text(INI.format("tox"))
    assert read_ini(tmp_path) == {"store": "from-tox"}
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "-q"\n')
    assert read_ini(tmp_path) == {}
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / ".pytest.ini").write_text(INI.format("hidden"))
    assert read_ini(tmp_path) == {"store": "from-hidden"}
    (tmp_path / "pytest.ini").touch()
    assert read_ini(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "pyproject.toml",
            "[tool.pytest\n",
            "cannot be read: Expected ']' at the end of a table declaration",
        ),
        ("pytest.ini", "kaizen_store = x\n", "cannot be read: File contains no section headers."),
    ],
)
def test_broken_file(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_ini(tmp_path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_command_finds_the_store_that_the_plugin_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAIZEN_STORE", raising=False)
    (tmp_path / "kaizen.yaml").write_text("store: from-yaml.db\n")
    args = Namespace(root=tmp_path)
    assert config_for(args).store == tmp_path / "from-yaml.db"
    (tmp_path / "pyproject.toml").write_text('[tool.pytest]\nkaizen_store = "from-ini.db"\n')
    assert config_for(args).store == tmp_path / "from-ini.db"
    monkeypatch.setenv("KAIZEN_STORE", "from-env.db")
    assert config_for(args).store == tmp_path / "from-env.db"
