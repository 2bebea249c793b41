from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import anthropic  # noqa: F401 - imported once, not by every command
import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.scripted import Request, ScriptedLLM

Cli = Callable[..., tuple[int, str, str]]

LESSON = {
    "justification": "nobody said when it will come",
    "evidence": [1],
    "criterion": "",
    "section": "answers",
    "when": "",
    "rule": "Name a date.",
    "replaces": "",
    "confidence": "high",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, with two trace files in ``logs``; the current folder."""
    (tmp_path / "kaizen.yaml").touch()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "one.md").write_text("# Chat\nWhere is my parcel? - It is on its way.\n")
    (tmp_path / "logs" / "two.json").write_text('{"ask": "When?", "answer": "Soon."}')
    monkeypatch.chdir(tmp_path)
    for name in ("KAIZEN_STORE", "KAIZEN_PROMPT_VERSION"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def reflecting(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    """The model that reflects: one lesson from any traces, and no relations."""
    assert project.is_dir()
    with ScriptedLLM() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)

        def answer(request: Request) -> str:
            wanted = (request.schema or {}).get("properties", {})
            return json.dumps({"lessons": [LESSON]} if "lessons" in wanted else {"relations": []})

        server.reply(answer)
        yield server


@pytest.fixture
def cli(project: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run ``kaizen …`` in the project; gives status, output and error output."""
    assert project.is_dir()

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            status = main(list(arguments))
        except SystemExit as exc:
            status = int(exc.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
