"""``kaizen tasks``, ``kaizen feedback`` and the search that feedback starts; a local server is the model."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import anthropic  # noqa: F401 - imported once, not by every command
import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.models import JobStatus
from pytest_kaizen.optimize import Event, TaskCase, split_cases
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
    if wanted:
        output = re.search(r"BEGIN OUTPUT \w+\n(.*)\nEND OUTPUT", request.last_user_text, re.DOTALL)
        assert output is not None
        polite = output[1].startswith("Dear")
        if "fulfilled" in wanted:
            return json.dumps({"fulfilled": {"reason": "so it is", "score": 5 if polite else 1}})
        reason = "it begins with Dear" if polite else "there is no Dear in it"
        return json.dumps({"polite": {"reason": reason, "score": "yes" if polite else "no"}})
    if "there is no Dear in it" in request.last_user_text:
        return "```\nYou greet people in {{language}}. Begin with Dear.\n```"
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


def test_a_search_on_feedback_is_resumed_and_keeps_within_its_caps(
    command: Command, root: Path, llm: ScriptedLLM
) -> None:
    command("tasks", "create", "greet", "--model", "claude-haiku-4-5", "--evaluator", json.dumps(POLITE))
    status, out, _ = log(command, root, range(60))
    assert out.splitlines()[-1] == "enough for a search: `kaizen optimize greet`"
    assert llm.record == []

    status, out, err = command("optimize", "greet", "--dry-run")
    assert (status, err) == (0, "")
    assert [line.split(" ")[0] for line in out.splitlines()] == ["greet:"] * 3

    def breaks(event: Event) -> str:
        if event.spend.rollouts > 10:
            raise KeyboardInterrupt
        return event.step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_kaizen.cli.optimize.event_line", breaks)
        assert command("optimize", "greet", "--from", "feedback", "--max-rollouts", "200")[0] == 130
    # What is logged meanwhile is not in it.
    log(command, root, range(60, 65))
    assert command("optimize", "greet", "--resume", "--from", "feedback")[0] == 2
    asked = len(llm.record)
    status, out, err = command("optimize", "greet", "--resume")
    assert status == 0
    assert err.startswith("greet: 60 logged inputs, answered by claude-haiku-4-5\n")
    assert "to 200 rollouts" in err
    with Store.open(root / ".kaizen/kaizen.db") as store:
        job, _ = store.jobs.newest()
        [proposal] = store.proposals()
        task = store.tasks.find("greet")
        assert task is not None
        assert store.feedback.count(task.id).fresh == 5
    assert (job.status, job.settings["last"]) == (JobStatus.COMPLETED, 60)
    assert proposal.spend.rollouts <= 200
    # What was paid for before is not paid for again: an answer and its judgement each.
    assert len(llm.record) - asked < 2 * proposal.spend.rollouts

    command("optimize", "greet", "--dismiss", "--dry-run")
    (root / "prompts/greet/2.md").write_text("Say hi in {{language}}.\n")
    status, out, err = command("optimize", "greet", "--budget-usd", "0.05")
    assert (status, out, "it stops at $0.05" in err) == (1, "greet: nothing better was found\n", True)
    with Store.open(root / ".kaizen/kaizen.db") as store:
        spent = store.jobs.newest()[0].spend
    assert 0.001 < spent.usd <= 0.05


@pytest.mark.parametrize("engine", ["insights", "gepa", "gepa-plain"])
def test_engines_search_on_feedback(command: Command, root: Path, llm: ScriptedLLM, engine: str) -> None:
    command("tasks", "create", "greet", "--model", "claude-haiku-4-5", "--evaluator", json.dumps(POLITE))
    log(command, root, range(40))
    status, out, _ = command("optimize", "greet", "--engine", engine, "--max-rollouts", "120")
    assert status == 0
    assert "Begin with Dear." in out
    assert re.search(r"\(\d+ rollouts, [1-9] calls? to the reflecting model, ", out)
    assert len([request for request in llm.record if "lessons" in str(request.schema)]) < 10


def test_without_feedback_or_with_tests_the_suite_is_the_metric(command: Command, llm: ScriptedLLM) -> None:
    assert "no run in the store has all cases of 'greet'" in command("optimize", "greet")[2]
    assert "'greet' has no logged feedback" in command("optimize", "greet", "--from", "feedback")[2]
    command("feedback", "add", "--task", "greet", "--inputs", '{"name": "Ada"}')
    assert (
        "no logged input of 'greet' has all variables of version 1: language"
        in command("optimize", "greet")[2]
    )
    assert "no run in the store has all cases" in command("optimize", "greet", "--from", "suite")[2]
    assert llm.record == []


def test_what_was_logged_is_listed(command: Command) -> None:
    assert command("tasks", "list")[1] == ""
    status, out, _ = command(
        *("feedback", "add", "--task", "greet", "--inputs", '{"name": "Ada"}', "--output", "Dear Ada"),
        *("--score", "0.5", "--source", "user_rating"),
    )
    assert (status, out) == (0, "greet: 1 logged, 1 of 50 since the last search\n")
    [entry] = json.loads(command("feedback", "list", "--task", "greet", "--json")[1])
    assert (entry["inputs"], entry["output"]) == ({"name": "Ada"}, "Dear Ada")
    assert (entry["score"], entry["source"], entry["metadata_"]) == (0.5, "user_rating", None)
    line = command("feedback", "list", "--task", "greet")[1].splitlines()[-1]
    assert line.split()[2:] == ["0.50", "user_rating", '{"name":', '"Ada"}', "Dear", "Ada"]

    [task] = json.loads(command("tasks", "list", "--json")[1])
    assert (task["name"], task["threshold_progress"], entry["task_id"]) == ("greet", "1/50", task["id"])
    assert json.loads(command("tasks", "show", task["id"], "--json")[1]) == task
    assert "feedback: 1 (1 of 50 since the last search)" in command("tasks", "show", "greet")[1]
    assert command("tasks", "list")[1].splitlines()[-1].split()[:3] == ["greet", "1", "1/50"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            ["feedback", "add", "--task", "t", "--inputs", "[1]"],
            "--inputs: expected a JSON object (found '[1]')",
        ),
        (["feedback", "add", "--task", "t", "--inputs", "{"], "--inputs: not JSON: "),
        (["feedback", "add", "--task", "t", "--score", "2"], "feedback: score: Input should be less than or"),
        (["feedback", "add", "--task", "t", "--file", "none.jsonl"], "none.jsonl: cannot be read: "),
        (
            ["feedback", "add", "--task", "t", "--file", "bad.jsonl"],
            "bad.jsonl:3: unknown key 'rating'; valid:",
        ),
        (["feedback", "list", "--task", "other"], "no task 'other' has feedback here (there are: greet)"),
        (["tasks", "show", "other"], "no task 'other' has feedback here (there are: greet)"),
        (["tasks", "create", "greet"], "a task 'greet' is there already"),
        (["tasks", "create", "t", "--evaluator", '{"type": "x"}'], "evaluator_config: Input tag 'x' found"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_stored(
    command: Command, root: Path, arguments: list[str], why: str
) -> None:
    command("tasks", "create", "greet")
    (root / "bad.jsonl").write_text('{"score": 1}\n\n{"score": 1, "rating": 3}\n')
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert why in err
    [task] = json.loads(command("tasks", "list", "--json")[1])
    assert (task["name"], task["feedback_count"]) == ("greet", 0)


def test_a_search_that_fails_leaves_the_feedback(command: Command, root: Path, llm: ScriptedLLM) -> None:
    (root / "kaizen.yaml").write_text(
        "optimize: propose\ntasks: {greet: {optimize: {budget_usd: 3, max_rollouts: 90}}}\n"
    )
    command("tasks", "create", "greet", "--threshold", "5", "--model", "house-model")
    status, out, _ = log(command, root, range(5))
    assert (status, out) == (0, "greet: 5 logged, 5 of 5 since the last search\n")
    with Store.open(root / ".kaizen/kaizen.db") as store:
        [job] = store.jobs.newest()
    assert job.status is JobStatus.FAILED
    assert "'house-model' has no known price" in (job.error or "")
    assert (job.settings["budget_usd"], job.settings["max_rollouts"]) == (3.0, 90)
    assert llm.record == []
    (root / "prompts/greet/1.md").unlink()
    status, _, err = log(command, root, range(5, 6))
    assert status == 0
    assert "kaizen: no search for a better prompt: " in err


def test_readme_s_commands_say_what_is_shown(command: Command, root: Path, llm: ScriptedLLM) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme[readme.index("### Feedback instead of tests") :]
    commands, told = re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[:2]
    entries = [
        {
            "inputs": {"ticket": f"The {number}th lamp burns."},
            "output": "Dear" if number % 2 else "normal",
            "score": float(bool(number % 2) is (number % 5 < 3)),
        }
        for number in range(60)
    ]
    (root / "feedback.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    (root / "prompts/triage").mkdir()
    (root / "prompts/triage/1.md").write_text("Sort {{ticket}}.\n")
    shown = ""
    for line in commands.splitlines():
        if line.startswith("$ kaizen "):
            status, out, err = command(*shlex.split(line)[2:])
            assert (status, err) == (0, "")
            shown += f"{line}\n" + ("" if "tasks create" in line else out)
    assert shown == commands
    assert llm.record == []
    status, out, _ = command("optimize", "triage", "--dry-run")
    assert out.startswith(told)


def test_a_task_keeps_what_its_threshold_counts(command: Command, root: Path) -> None:
    assert command("tasks", "create", "often", "--threshold", "2000")[0] == 0
    with Store.open(root / ".kaizen/kaizen.db") as store:
        task = store.tasks.find("often")
    assert task is not None
    assert (task.feedback_threshold, task.feedback_retention_limit) == (2000, 2000)
