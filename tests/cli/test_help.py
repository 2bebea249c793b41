"""The help of every command is as a file has it; ``KAIZEN_UPDATE_GOLDEN=1`` writes the files anew."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_kaizen.cli import GROUPS, build_parser

GOLDEN = Path(__file__).parents[1] / "golden" / "help"
README = Path(__file__).parents[2] / "README.md"
UPDATE = bool(os.environ.get("KAIZEN_UPDATE_GOLDEN"))
#: Later releases lay the same help out otherwise.
SAME_LAYOUT = sys.version_info < (3, 13)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


COMMANDS = {parser.prog: parser for parser in parsers(build_parser([group.name for group in GROUPS]))}


@pytest.mark.skipif(not SAME_LAYOUT, reason="argparse lays help out otherwise from Python 3.13 on")
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_written_down(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = COMMANDS[command].format_help()
    path = GOLDEN / f"{command.replace(' ', '_')}.txt"
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_no_file_is_left_of_a_command_that_has_gone() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {command.replace(" ", "_") for command in COMMANDS}


def test_readme_lists_every_command() -> None:
    text = README.read_text(encoding="utf-8")
    table = text.partition("| `kaizen …` | commands | |\n| --- | --- | --- |\n")[2].partition("\n\n")[0]
    listed = {}
    for row in table.splitlines():
        name, commands, what = (cell.strip() for cell in row.strip("|").split("|"))
        listed[name] = (what, [inner.strip().strip("`") for inner in commands.split(",") if inner])
    expected = {}
    for group in GROUPS:
        prefix = f"kaizen {group.name} "
        within = [command.removeprefix(prefix) for command in COMMANDS if command.startswith(prefix)]
        expected[f"`{group.name}`"] = (group.help, within)
    assert listed == expected


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from pytest_kaizen.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "pytest_kaizen" in loaded
    assert not loaded & {"pydantic", "httpx", "httpx2", "anthropic", "yaml", "sqlite3", "pytest", "tabulate"}
    ours = {name for name in done.stderr.split() if name.startswith("pytest_kaizen")}
    assert ours == {"pytest_kaizen", "pytest_kaizen.cli", "pytest_kaizen.errors"}
