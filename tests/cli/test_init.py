from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

Cli = Callable[..., tuple[int, str, str]]
FILES = [
    "kaizen.yaml",
    "prompts/answer_question/1.md",
    "rubrics/answer.yaml",
    "tests/test_kaizen_prompts.py",
    ".github/workflows/prompts.yml",
]
APP = '''\
SUMMARIZE_PROMPT = """
---
Summarize {{x.y}} in one line.
"""

def summarize(client, ticket):
    return client.messages.create(system=SUMMARIZE_PROMPT, messages=[{"role": "user", "content": ticket}])

def greet(client):
    return client.chat.completions.create(messages=[{"role": "system", "content": "Be kind."}])
'''


@pytest.fixture
def bare(project: Path) -> Path:
    """A project without anything."""
    (project / "kaizen.yaml").unlink()
    return project


def run_workflow(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests as the workflow that was written does, without a key."""
    workflow = yaml.safe_load((folder / ".github/workflows/prompts.yml").read_text())
    step = next(step for step in workflow["jobs"]["kaizen"]["steps"] if "pytest" in step.get("run", "")[:7])
    ours = ("ANTHROPIC", "OPENAI", "KAIZEN", "GITHUB", "PYTEST", "COV")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {"ANTHROPIC_API_KEY": "none", "KAIZEN_RECORD": "replay", "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    command = [sys.executable, "-m", *step["run"].split()]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_what_is_written_passes(cli: Cli, bare: Path) -> None:
    (bare / "app.py").write_text(APP)
    status, out, err = cli("--root", str(bare), "init", "--yes")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "wrote kaizen.yaml",
        "wrote prompts/summarize/1.md",
        "wrote prompts/greet/1.md",
        "wrote rubrics/answer.yaml",
        "wrote tests/test_kaizen_prompts.py",
        "wrote .github/workflows/prompts.yml",
        "",
        "Your code is as it was. To have one text only, change these lines, so that the function",
        "is given the prompt: your program passes the file's text, a test kaizen.prompt(TASK).text:",
        "  app.py:7: prompts/summarize/1.md",
        "  app.py:10: prompts/greet/1.md",
        "",
        "now: pytest --kaizen",
    ]
    assert (bare / "app.py").read_text() == APP
    assert (bare / "prompts/summarize/1.md").read_text() == (
        "---\nnote: As it stood in app.py:7.\n---\n---\nSummarize {{x.y}} in one line.\n"
    )
    done = run_workflow(bare)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert "gates decided over 2 cases: all passed" in done.stdout
    assert (bare / "kaizen.md").is_file()


def test_no_file_is_overwritten(cli: Cli, bare: Path) -> None:
    status, out, _ = cli("--root", str(bare), "init", "--yes", "--json")
    assert (status, json.loads(out)) == (0, {"root": str(bare), "written": FILES, "kept": [], "change": []})
    for name in FILES:
        (bare / name).write_text("mine")
    (bare / FILES[1]).rename(bare / "prompts/answer_question/7.md")
    found = json.loads(cli("--root", str(bare), "init", "--yes", "--json")[1])
    assert (found["written"], found["kept"]) == ([], FILES)
    assert not (bare / FILES[1]).exists()
    assert {(bare / name).read_text() for name in FILES if name != FILES[1]} == {"mine"}
    assert "kept kaizen.yaml, which was there" in cli("--root", str(bare), "init", "--yes")[1]


def test_where_tests_go_and_what_ci_installs(cli: Cli, bare: Path) -> None:
    (bare / "checks").mkdir()
    (bare / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.pytest.ini_options]\ntestpaths = ["gone", "checks"]\n'
    )
    assert "checks/test_kaizen_prompts.py" in json.loads(cli("init", "--yes", "--json")[1])["written"]
    workflow = bare / ".github/workflows/prompts.yml"
    assert "pip install pytest-kaizen .\n" in workflow.read_text()
    workflow.unlink()
    (bare / "requirements.txt").touch()
    cli("init", "--yes")
    example = Path(__file__).parents[2] / "examples/github_actions/prompts.yml"
    assert yaml.safe_load(workflow.read_text()) == yaml.safe_load(example.read_text())


def test_without_a_terminal_nothing_is_guessed(cli: Cli, project: Path) -> None:
    before = sorted(project.rglob("*"))
    for arguments in (("init",), ("init", "--json")):
        status, out, err = cli(*arguments)
        assert (status, out) == (2, "")
        assert err == "kaizen: there is nobody to ask; to go on without questions: kaizen init --yes\n"
    assert sorted(project.rglob("*")) == before


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Put a terminal in the place of the standard input, on which something is typed."""
    master, slave = pty.openpty()
    terminal = os.fdopen(slave, "r")

    def type_in(text: str) -> None:
        # Not before the test's body, where pytest puts its own streams in place.
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        threading.Timer(0, os.write, (master, text.encode())).start()

    yield type_in
    terminal.close()
    os.close(master)


def test_the_task_is_asked_for(cli: Cli, bare: Path, typed: Callable[[str], None]) -> None:
    typed("Sort Tickets!\n")
    status, _, err = cli("--root", str(bare), "init")
    assert (status, err) == (
        0,
        "What is the first task called, whose prompt is to be tested? [answer_question] ",
    )
    assert (bare / "prompts/sort_tickets/1.md").is_file()


def test_prompts_may_stay_in_the_code(cli: Cli, bare: Path, typed: Callable[[str], None]) -> None:
    (bare / "app.py").write_text(APP)
    typed("n\n\n")
    status, out, err = cli("--root", str(bare), "init")
    assert status == 0
    assert "  app.py:10  greet  Be kind.\n" in err
    assert sorted(path.name for path in (bare / "prompts").iterdir()) == ["answer_question"]
    assert "change these lines" not in out


def test_the_end_of_the_input_is_no_answer(cli: Cli, bare: Path, typed: Callable[[str], None]) -> None:
    typed("\x04")
    assert cli("--root", str(bare), "init")[0] == 130
    assert not (bare / "kaizen.yaml").exists()
