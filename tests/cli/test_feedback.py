"""``kaizen tasks``, ``kaizen feedback`` and the search that feedback starts; a local server is the model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import anthropic  # noqa: F401 - imported once, not by every command
import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.models import JobStatus
from pytest_kaizen.optimize import TaskCase, split_cases
from pytest_kaizen.scripted import Request, ScriptedLLM
from pytest_kaizen.store import Store

Command = Callable[..., tuple[int, str, str]]

POLITE = {"type": "judge", "criteria": [{"name": "polite", "description": "It begins with Dear."}]}
LESSON = {
    "justification": "it lacked a Dear",
    "evidence": [1],
    "criterion": "judge.polite",
    "section": "general",
    "when": "",
    "rule": "Begin with Dear.",
    "replaces": "",
    "confidence": "high",
}


def answer(request: Request) -> str:
    wanted = (request.schema or {}).get("properties", {})
    if "lessons" in wanted:
        told = "there is no Dear in it" in request.last_user_text
        return json.dumps({"lessons": [LESSON] if told else []})
    if "relations" in wanted:
        return json.dumps({"relations": []})
    if "polite" in wanted:
        output = re.search(r"BEGIN OUTPUT \w+\n(.*)\nEND OUTPUT", request.last_user_text, re.DOTALL)
        assert output is not None
        polite = output[1].startswith("Dear")
        reason = "it begins with Dear" if polite else "there is no Dear in it"
        return json.dumps({"polite": {"reason": reason, "score": "yes" if polite else "no"}})
    return f"{'Dear' if 'Begin with Dear.' in request.system else 'Hey'} {request.last_user_text}"


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    with ScriptedLLM() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        server.reply(answer)
        yield server


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "kaizen.yaml").touch()
    (tmp_path / "prompts/greet").mkdir(parents=True)
    (tmp_path / "prompts/greet/1.md").write_text("You greet people in {{language}}.\n")
    monkeypatch.chdir(tmp_path)
    for name in ("KAIZEN_STORE", "KAIZEN_PROMPT_VERSION", "KAIZEN_OPTIMIZE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def command(root: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``kaizen …`` in a project's folder; gives status, output and error output."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["--root", str(root), *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def lines(numbers: range, **fields: object) -> str:
    return "".join(
        json.dumps(
            {
                "inputs": {"name": f"person {number}", "language": "English"},
                "output": f"{'Dear' if number % 3 == 0 else 'Hey'} person {number}",
                "score": float(number % 3 == 0),
                **fields,
            }
        )
        + "\n"
        for number in numbers
    )


def log(command: Command, root: Path, numbers: range, **fields: object) -> tuple[int, str, str]:
    (root / "feedback.jsonl").write_text(lines(numbers, **fields))
    return command("feedback", "add", "--task", "greet", "--file", "feedback.jsonl")


def test_enough_feedback_on_a_weak_prompt_gives_a_better_one(
    command: Command, root: Path, llm: ScriptedLLM
) -> None:
    (root / "kaizen.yaml").write_text("optimize: propose\n")
    status, out, _ = command(
        *("tasks", "create", "greet", "--threshold", "60", "--model", "claude-haiku-4-5"),
        *("--evaluator", json.dumps(POLITE)),
    )
    assert (status, out.splitlines()[-1]) == (0, "feedback: 0 (0 of 60 since the last search)")
    status, out, err = log(command, root, range(59))
    assert (status, out, err) == (0, "greet: 59 logged, 59 of 60 since the last search\n", "")
    assert log(command, root, range(59, 61), source="seed")[1].endswith("59 of 60 since the last search\n")
    assert llm.record == []

    status, out, err = log(command, root, range(61, 62))
    assert status == 0
    said, agreed, cost, *_ = err.splitlines()
    assert said == "greet: 62 logged inputs, answered by claude-haiku-4-5"
    assert agreed.startswith(
        "greet: the rubric and 40 logged scores: accuracy 1.00 [0.91, 1.00], kappa 1.00 ["
    )
    assert cost.startswith("greet: a search takes ")
    first, proposal, verdict, *_ = out.splitlines()
    assert first == "greet: 1 logged, 60 of 60 since the last search"
    assert proposal.startswith("greet: proposal ")
    assert verdict.startswith("accepted: the candidate gained 1.00 ")
    assert "+- Begin with Dear." in out
    with Store.open(root / ".kaizen/kaizen.db") as store:
        [job] = store.jobs.newest()
        [found] = store.proposals()
    assert (job.status, job.triggered_by, job.settings["source"]) == (
        JobStatus.COMPLETED,
        "threshold",
        "feedback",
    )
    assert job.result["proposal"] == found.id
    assert job.spend.usd > 0

    # What is held out never reaches a reflection.
    logged = [{"language": "English", "name": f"person {number}"} for number in range(62)]
    cases = [TaskCase(str(number), json.dumps(inputs)) for number, inputs in enumerate(logged)]
    held_out = {logged[int(case.id)]["name"] for case in split_cases(cases).held_out}
    reflections = [r.last_user_text for r in llm.record if "lessons" in str(r.schema)]
    assert reflections
    assert not [name for name in held_out for text in reflections if f'"{name}"' in text]

    # The count begins anew, and an open proposal is not searched over.
    asked = len(llm.record)
    status, out, _ = log(command, root, range(100, 159))
    assert (status, out) == (0, "greet: 59 logged, 59 of 60 since the last search\n")
    status, out, _ = log(command, root, range(159, 160))
    assert out.splitlines()[-1] == "a proposal waits for a decision: `kaizen optimize greet`"
    status, out, _ = command("optimize", "greet", "--activate")
    assert (status, len(llm.record)) == (0, asked)
    assert out.endswith("greet: version 2 is active\n")
