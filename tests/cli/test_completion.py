from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.cli import GROUPS

if TYPE_CHECKING:
    from tests.cli.conftest import Terminal

Cli = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_is_in_the_script(shell: str, cli: Cli) -> None:
    status, out, err = cli("completion", shell)
    assert (status, err) == (0, "")
    for group in GROUPS:
        assert group.name in out
    assert "max-batch-size" in out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=out, text=True, check=True, capture_output=True)


#: What is typed, and what the last word of it becomes.
TYPED = {
    "kaizen tra": "traces",
    "kaizen traces d": "delete",
    "kaizen traces list --se": "--server",
    "kaizen batch --min": "--min-batch-size",
    "kaizen batch --apply lo": "logs",
    "kaizen completion z": "zsh",
    "kaizen run --reflector-mode rec": "recursive",
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes(cli: Cli, project: Path) -> None:
    (project / "kaizen.bash").write_text(cli("completion", "bash")[1])
    asked = """
        compopt() { :; }
        source kaizen.bash
        function=$(complete -p kaizen | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        for line; do
            COMP_WORDS=($line); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            $function kaizen "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
            echo ${COMPREPLY[@]}
        done
    """
    command = ["bash", "-c", asked, "bash", *TYPED]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert (done.stdout.splitlines(), done.stderr) == ([*TYPED.values()], "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish_completes(cli: Cli, project: Path) -> None:
    (project / "kaizen.fish").write_text(cli("completion", "fish")[1])
    asked = "source kaizen.fish; for line in $argv; complete -C $line; end"
    command = ["fish", "--no-config", "-c", asked, *TYPED]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    found = [line.partition("\t")[0].rstrip("/") for line in done.stdout.splitlines()]
    assert (found, done.stderr) == ([*TYPED.values()], "")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_completes(cli: Cli, project: Path, start_program: Callable[..., Terminal]) -> None:
    (project / "functions").mkdir()
    (project / "functions" / "_kaizen").write_text(cli("completion", "zsh")[1])
    shell = start_program("zsh", "-f", "-i")
    # In the place of the command: shows what it is called with.
    shell.type(
        "PS1='> '; unsetopt zle_bracketed_paste; fpath=($PWD/functions $fpath); "
        "autoload -Uz compinit; compinit -u -D; "
        'kaizen() { print -r -- "<kaizen $*>"; (( n += 1 )); print "line $n" }; print set\'\' up\n'
    )
    shell.wait_for("set up")
    for number, line in enumerate(TYPED, 1):
        shell.type(f"{line}\t\n")
        shell.wait_for(f"line {number}")
    shell.type("exit\n")
    assert shell.end() == 0
    wanted = [f"{line.rpartition(' ')[0]} {word}" for line, word in TYPED.items()]
    assert [found.rstrip("/") for found in re.findall(r"<(kaizen [^$>]*)>", shell.text)] == wanted


def test_without_the_extra(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    status, out, err = cli("completion", "bash")
    assert (status, out) == (2, "")
    assert err == "kaizen: completion needs an extra: pip install 'pytest-kaizen[cli]'\n"
