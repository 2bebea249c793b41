from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_kaizen.config import load_config
from pytest_kaizen.prompts import activate_version, new_version

EXAMPLE = Path(__file__).parents[2] / "examples" / "support_bot"
SIMULATOR = "support_bot: answers come from a model SIMULATOR; set ANTHROPIC_API_KEY to use the real API"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Copy the example, so that no run leaves anything in it."""
    leftovers = shutil.ignore_patterns(".*", "__pycache__")
    return Path(shutil.copytree(EXAMPLE, tmp_path / "support_bot", ignore=leftovers))


def _run(example: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ours = ("ANTHROPIC_", "OPENAI_", "PYTEST_", "KAIZEN_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=example, env=environment, capture_output=True, text=True, timeout=900, check=False
    )


def test_active_version_passes(example: Path) -> None:
    result = _run(example, "--kaizen")
    assert result.returncode == 0, result.stdout
    assert result.stdout.splitlines()[0] == SIMULATOR
    assert "61 passed" in result.stdout
    assert "summarize_ticket: summary 0.96 " in result.stdout


def test_weak_version_fails_its_gates_and_a_better_one_is_found(example: Path) -> None:
    result = _run(
        example, "--kaizen", "--kaizen-prompt-version", "summarize_ticket=1", "--kaizen-optimize=propose"
    )
    assert result.returncode == 1, result.stdout
    assert "61 passed" in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last.startswith("kaizen: FAILED on a whole task: summarize_ticket: summary 0.30 ")
    assert "\naccepted: the candidate gained 0.60 " in result.stdout

    [text] = (example / ".kaizen/proposals").glob("*.txt")
    config = load_config(example, env={})
    new_version(config, "summarize_ticket", text=text.read_text(encoding="utf-8"))
    activate_version(config, "summarize_ticket", 3)
    result = _run(example, "--kaizen")
    assert result.returncode == 0, result.stdout
    assert "summarize_ticket: summary 0.96 " in result.stdout
    assert "124 gates decided over 60 cases: all passed" in result.stdout.splitlines()[-1]


def test_without_kaizen_the_cases_are_skipped(example: Path) -> None:
    result = _run(example)
    assert result.returncode == 0, result.stdout
    assert "1 passed, 60 skipped" in result.stdout
    assert "SIMULATOR" not in result.stdout
    assert not (example / ".kaizen").exists()
