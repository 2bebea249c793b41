from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_kaizen.cli import GROUPS

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


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["kaizen", "tra"], ["traces"]),
        (["kaizen", "traces", "d"], ["delete"]),
        (["kaizen", "batch", "--min"], ["--min-batch-size"]),
        (["kaizen", "completion", "z"], ["zsh"]),
        (["kaizen", "batch", "--apply", "lo"], ["logs"]),
    ],
)
def test_bash_completes(words: list[str], expected: list[str], cli: Cli, project: Path) -> None:
    script = project / "kaizen.bash"
    script.write_text(cli("completion", "bash")[1])
    quoted = " ".join(f"'{word}'" for word in words)
    asked = f"""
        compopt() {{ :; }}
        source {script}
        COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}
        function=$(complete -p kaizen | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        $function kaizen '{words[-1]}' '{words[-2]}'
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", asked], cwd=project, capture_output=True, text=True, check=True)
    assert [line.strip() for line in done.stdout.splitlines()] == expected


def test_without_the_extra(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    status, out, err = cli("completion", "bash")
    assert (status, out) == (2, "")
    assert err == "kaizen: completion needs an extra: pip install 'pytest-kaizen[cli]'\n"
