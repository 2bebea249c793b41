from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from pytest_kaizen.pipeline.starter import SKILL_PATH, instructions, skill, with_instructions
from pytest_kaizen.scripted import Request, ScriptedLLM

Cli = Callable[..., tuple[int, str, str]]
TASK = "answer_question"
LESSON = {
    "justification": "it says no more than that",
    "evidence": [1],
    "criterion": "",
    "section": "answers",
    "when": "",
    "rule": "Say what for.",
    "replaces": "",
    "confidence": "high",
}


def test_printed(cli: Cli, project: Path) -> None:
    status, out, err = cli("setup")
    assert (status, out) == (0, instructions())
    assert err == ".claude/skills/kaizen-pipeline/SKILL.md: written\n"
    assert (project / SKILL_PATH).read_text() == skill()
    assert cli("setup", "--no-skills") == (0, instructions(), "")


def test_the_second_call_changes_nothing(cli: Cli, project: Path) -> None:
    agents = project / "AGENTS.md"
    agents.write_text("# Ours\n\nBe careful.")
    status, out, err = cli("setup", "--append-to", "AGENTS.md")
    assert (status, out) == (0, "")
    assert err.splitlines()[0] == "AGENTS.md: the instructions are in it"
    assert agents.read_text() == f"# Ours\n\nBe careful.\n\n{instructions()}"
    times = {path: path.stat().st_mtime_ns for path in (agents, project / SKILL_PATH)}
    _, _, err = cli("setup", "--append-to", "AGENTS.md")
    assert err.splitlines() == [
        "AGENTS.md: nothing to change",
        ".claude/skills/kaizen-pipeline/SKILL.md: nothing to change",
    ]
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_a_skill_that_was_changed_is_kept(cli: Cli, project: Path) -> None:
    (project / "sub").mkdir()
    cli("setup", "--project-dir", "sub")
    path = project / "sub" / SKILL_PATH
    path.write_text("mine")
    _, _, err = cli("setup", "--project-dir", "sub")
    assert path.read_text() == "mine"
    assert err.endswith(": kept as it is, which is not as this release has it\n")
    assert not (project / SKILL_PATH).exists()


def test_instructions_of_an_earlier_release_are_replaced() -> None:
    old = "before\n<!-- pytest-kaizen -->\nold\n<!-- /pytest-kaizen -->\nafter\n"
    assert with_instructions(old) == f"before\n{instructions()}after\n"
    assert with_instructions("") == instructions()
    assert with_instructions("a\n") == f"a\n\n{instructions()}"


def test_wrong_usage(cli: Cli, project: Path) -> None:
    assert cli("setup", "--project-dir", "gone")[0] == 2
    (project / "bytes").write_bytes(b"\xff")
    status, _, err = cli("setup", "--append-to", "bytes")
    assert status == 2
    assert err.startswith("kaizen: bytes: cannot be read: ")
    assert (project / "bytes").read_bytes() == b"\xff"


def test_the_skill_has_its_head_and_seven_stages() -> None:
    _, head, body = skill().split("---\n", 2)
    values = yaml.safe_load(head)
    assert sorted(values) == ["description", "name"]
    assert values["name"] == SKILL_PATH.parent.name
    assert re.findall(r"^## (\d)\. ", body, re.MULTILINE) == list("1234567")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    """Reflects, and judges."""
    with ScriptedLLM() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)

        def answer(request: Request) -> str:
            wanted = (request.schema or {}).get("properties", {})
            if "lessons" in wanted:
                return json.dumps({"lessons": [LESSON]})
            if "relations" in wanted:
                return json.dumps({"relations": []})
            return json.dumps({name: {"reason": "r", "score": "yes"} for name in wanted})

        server.reply(answer)
        yield server


def commands() -> list[str]:
    """Every command that an agent is told, in the order of the stages."""
    found: list[str] = []
    for text in (skill(), instructions()):
        for block, inline in re.findall(r"^```sh\n(.*?)^```$|`((?:kaizen|pytest) [^`]+)`", text, re.M | re.S):
            found += block.splitlines() if block else [" ".join(inline.split())]
    return found


def test_every_command_that_is_named_works(cli: Cli, project: Path, model: ScriptedLLM) -> None:
    assert model.url
    (project / "kaizen.yaml").unlink()
    cli("--root", str(project), "init", "--yes")
    (project / "rubrics/judged.yaml").write_text(
        "name: judged\ncriteria:\n  - {name: faithful, description: States only what is there.}\n"
    )
    (project / "labels.csv").write_text("input,output,faithful\n" + "1,a,yes\n2,b,no\n" * 5)
    named = commands()
    assert len(named) > 25
    for command in dict.fromkeys(named):
        text = command.replace("TASK", TASK)
        if " ID" in text:
            listed = json.loads(cli("insights", "list", "--json")[1])
            text = text.replace("ID", listed[0]["id"])
        if "--apply" in text:
            plan = {"batches": {"all": {"description": "all", "trace_files": ["one.md", "two.json"]}}}
            (project / "batches.json").write_text(json.dumps(plan))
        words = shlex.split(text)
        if words[0] == "pytest":
            pytest_run(words, project)
            continue
        # Some are named without what they need.
        needs = {"optimize": ["--help"], "run": ["--help"], "calibrate": ["--help"], "generate": ["--help"]}
        more = needs.get(words[-1], [])
        status, out, err = cli(*words[1:], *more)
        assert status == 0, (command, out, err)
        if "--json" in words:
            json.loads(out)
    lock = (project / "kaizen.lock").read_text()
    assert TASK in lock
    assert "Say what for." in (project / f"prompts/{TASK}/2.md").read_text()


def pytest_run(words: list[str], folder: Path) -> None:
    # Not as a worker of the run that this is, and without a word to its CI.
    ours = ("GITHUB", "KAIZEN", "PYTEST")
    done = subprocess.run(
        [sys.executable, "-m", *words, "-p", "no:cacheprovider", "-q"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(ours)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (words, done.stdout)
    assert "1 passed" in done.stdout or "1 skipped" in done.stdout
