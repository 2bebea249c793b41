from __future__ import annotations

import argparse
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_kaizen import __version__
from pytest_kaizen.cli import GROUPS, main
from pytest_kaizen.errors import KaizenError, UsageError

SCRIPT = "import sys; from pytest_kaizen.cli import main; sys.exit(main())"


def install_group(monkeypatch: pytest.MonkeyPatch, run: Callable[..., int]) -> None:
    """Put a module of one command, ``kaizen prompts go``, in the place of a group's."""
    module = types.ModuleType("pytest_kaizen.cli.prompts")

    def declare_prompts(parser: argparse.ArgumentParser) -> None:
        parser.add_subparsers(required=True).add_parser("go").set_defaults(run=run)

    module.declare_prompts = declare_prompts  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)


def install_recorder(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Put a command there that notes the project's folder; gives the list it notes them in."""
    seen: list[Path] = []

    def run(args: argparse.Namespace) -> int:
        seen.append(args.root)
        return 0

    install_group(monkeypatch, run)
    return seen


def test_help_names_every_group(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    # A long name has its help on the next line.
    said = " ".join(capsys.readouterr().out.split())
    for group in GROUPS:
        assert f" {group.name} {group.help}" in said


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert (caught.value.code, capsys.readouterr().out) == (0, f"pytest-kaizen {__version__}\n")


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["prompts"], ["prompts", "nonsense"], ["--root"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: kaizen")


@pytest.mark.parametrize("group", [group.name for group in GROUPS])
def test_every_group_has_commands(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([group, "--help"])
    assert caught.value.code == 0
    # Some groups are a command by themselves.
    alone = {
        "batch": "  --apply ",
        "completion": "  {bash,zsh,fish}",
        "doctor": "  --json ",
        "exec": "  -- COMMAND ",
        "init": "  --yes ",
        "materialize": "  JOB ",
        "optimize": "  --engine ",
        "plan": "  --detect ",
        "run": "  --reflector-mode ",
        "serve": "  --port ",
        "setup": "  --append-to ",
        "status": "  --interval ",
        "sync": "  --watch ",
        "upload": "  PATH ",
        "worker": "  --store ",
    }
    command = alone.get(group, "    list ")
    assert command in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "status"),
    [(KaizenError("the disk is full"), 1), (UsageError("no such task", path="kaizen.yaml", line=3), 2)],
)
def test_errors(
    error: KaizenError, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: object) -> int:
        raise error

    install_group(monkeypatch, run)
    assert main(["prompts", "go"]) == status
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"kaizen: {error}\n")


def test_status_of_the_command_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    install_group(monkeypatch, lambda _: 7)
    assert main(["prompts", "go"]) == 7


def test_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: object) -> int:
        raise KeyboardInterrupt

    install_group(monkeypatch, run)
    assert main(["prompts", "go"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: object) -> int:
        raise ZeroDivisionError

    install_group(monkeypatch, run)
    with pytest.raises(ZeroDivisionError):
        main(["prompts", "go"])


@pytest.mark.parametrize(
    ("files", "start", "expected"),
    [
        ([], "a/b", "a/b"),
        (["kaizen.yaml", "a/b/pyproject.toml"], "a/b", "."),
        (["kaizen.yaml", "a/kaizen.yaml"], "a/b", "a"),
        (["pyproject.toml", "a/pytest.ini"], "a/b", "a"),
        (["pyproject.toml", "a/setup.cfg"], "a/b", "."),
    ],
)
def test_root(
    files: list[str], start: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / start).mkdir(parents=True)
    for name in files:
        (tmp_path / name).touch()
    seen = install_recorder(monkeypatch)
    monkeypatch.chdir(tmp_path / start)
    main(["prompts", "go"])
    assert seen == [(tmp_path / expected).resolve()]


def test_root_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A folder named like a group must not be taken for one.
    (tmp_path / "prompts").mkdir()
    seen = install_recorder(monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert main(["--root", "prompts", "prompts", "go"]) == 0
    assert seen == [(tmp_path / "prompts").resolve()]
    assert main(["--root", "none", "prompts", "go"]) == 2
    assert capsys.readouterr().err == "kaizen: --root: no such folder (found 'none')\n"


@pytest.mark.parametrize("lines", [1, 100_000])
def test_reader_that_has_gone_is_no_error(tmp_path: Path, lines: int) -> None:
    folder = tmp_path / "prompts" / "t"
    folder.mkdir(parents=True)
    (folder / "1.md").write_text("a line\n" * lines)
    # A short output fails when it is flushed at the end, a long one while it is printed.
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "--root", str(tmp_path), "prompts", "show", "t"],
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_terminal_without_the_characters(tmp_path: Path) -> None:
    folder = tmp_path / "prompts" / "t"
    folder.mkdir(parents=True)
    (folder / "1.md").write_text("naïve", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "--root", str(tmp_path), "prompts", "show", "t"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.endswith(b"\nna\\xefve\n")
