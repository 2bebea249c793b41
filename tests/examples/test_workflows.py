"""The workflow files are what their CI systems read, and their commands are ours."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"


def github_commands(document: dict[str, Any]) -> list[str]:
    return [step["run"] for step in document["jobs"]["kaizen"]["steps"] if "run" in step]


def gitlab_commands(document: dict[str, Any]) -> list[str]:
    commands: list[str] = document["prompts"]["script"]
    return commands


@pytest.mark.parametrize(
    ("file", "commands"),
    [
        ("github_actions/prompts.yml", github_commands),
        ("gitlab_ci/.gitlab-ci.yml", gitlab_commands),
    ],
)
def test_the_suite_runs_as_the_workflow_says(tmp_path: Path, file: str, commands: Any) -> None:
    document = yaml.safe_load((EXAMPLES / file).read_text(encoding="utf-8"))
    (command,) = [line for line in commands(document) if line.startswith("pytest")]
    (tmp_path / "test_it.py").write_text(
        'import pytest\n@pytest.mark.kaizen("t")\ndef test_it(kaizen): kaizen.check("ok", True)\n'
    )
    arguments = [sys.executable, "-m", *shlex.split(command), "-p", "no:cacheprovider"]
    result = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "kaizen.md").read_text(encoding="utf-8").startswith("## kaizen\n")
    assert (tmp_path / "kaizen.json").exists()
    assert "kaizen_task" in (tmp_path / "junit.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("key", "record"), [("", "none replay"), ("sk-1", "sk-1")])
@pytest.mark.skipif(sys.platform == "win32", reason="the runner's shell is bash")
def test_a_fork_without_a_key_runs_on_recorded_calls_at_gitlab(key: str, record: str) -> None:
    document = yaml.safe_load((EXAMPLES / "gitlab_ci/.gitlab-ci.yml").read_text(encoding="utf-8"))
    (choice,) = [line for line in gitlab_commands(document) if line.startswith("if ")]
    program = f"set -e; {choice}; echo $ANTHROPIC_API_KEY $KAIZEN_RECORD"
    environment = {"ANTHROPIC_API_KEY": key, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["bash", "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{record}\n"
