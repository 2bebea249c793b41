"""``kaizen optimize``, with a local server as the model, the reflecting one too."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import anthropic  # noqa: F401 - imported once, not by every command
import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.models import (
    Acceptance,
    Decision,
    JobStatus,
    Proposal,
    ProposalStatus,
    Spend,
)
from pytest_kaizen.optimize import ENGINES, Event, TaskCase, split_cases
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.pipeline.suite import Launch, WorkerProcess
from pytest_kaizen.prompts.files import sha256_of
from pytest_kaizen.scripted import Request, ScriptedLLM
from pytest_kaizen.store import Store

TEST = """
import os
import httpx
import pytest

@pytest.mark.kaizen("greet")
@pytest.mark.parametrize("number", range(40))
def test_greeting(kaizen, number):
    request = {
        "model": "claude-haiku-4-5",
        "max_tokens": 50,
        "system": kaizen.prompt("greet").text,
        "messages": [{"role": "user", "content": f"person {number}"}],
        "metadata": {"user_id": str(os.getpid())},
    }
    reply = httpx.post(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", json=request, trust_env=False)
    text = reply.json()["content"][0]["text"]
    kaizen.case(input=f"person {number}", output=text)
    kaizen.check("warm", float("Dear" in text), "there is no Dear in it")
"""
LESSON = {
    "justification": "it lacked a Dear",
    "evidence": [1],
    "criterion": "warm",
    "section": "general",
    "when": "",
    "rule": "Begin with Dear.",
    "replaces": "",
    "confidence": "high",
}

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    with ScriptedLLM() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)

        def answer(request: Request) -> str:
            wanted = (request.schema or {}).get("properties", {})
            if "lessons" in wanted:
                told = "there is no Dear in it" in request.last_user_text
                return json.dumps({"lessons": [LESSON] if told else []})
            if "relations" in wanted:
                return json.dumps({"relations": []})
            return f"{'Dear' if 'Begin with Dear.' in request.system else 'Hey'} {request.last_user_text}"

        server.reply(answer)
        yield server


@pytest.fixture
def command(
    pytester: pytest.Pytester,
    llm: ScriptedLLM,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run ``kaizen optimize greet …`` in a project's folder; gives status, output and error output."""
    root = pytester.path
    assert llm.url
    (root / "kaizen.yaml").write_text("tasks: {greet: {gate: [{metric: warm, min: 0.9}]}}\n")
    (root / "prompts/greet").mkdir(parents=True)
    (root / "prompts/greet/1.md").write_text("You greet people.\n")
    (root / "test_greet.py").write_text(TEST)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p pytest_kaizen.plugin")
    for name in ("KAIZEN_STORE", "KAIZEN_PROMPT_VERSION"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["optimize", "greet", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def after_a_run(command: Command, pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> Command:
    """The same, with a run of the suite in the store."""
    result = pytester.runpytest_inprocess("--kaizen")
    assert "40 passed" in result.stdout.str()
    capsys.readouterr()
    return command


def _store(root: Path) -> Store:
    return Store.open(root / ".kaizen/kaizen.db")


def test_finds_proposes_and_activates(
    after_a_run: Command, pytester: pytest.Pytester, llm: ScriptedLLM
) -> None:
    root = pytester.path
    status, out, err = after_a_run("--dry-run")
    assert (status, err) == (0, "")
    assert re.fullmatch(
        r"greet: a search takes \d+ to 400 rollouts, \d+ to \d+ calls to the reflecting model, "
        r"\$0\.\d\d to \$\d\.\d\d; it stops at \$5\n",
        out,
    )

    status, out, err = after_a_run("--dry-run", "--json")
    assert (status, err.startswith("greet: a search takes ")) == (0, True)
    assert {**json.loads(out), "usd": [], "calls": []} == {
        "task": "greet",
        "rollouts": json.loads(out)["rollouts"],
        "calls": [],
        "usd": [],
        "notes": [],
    }

    # Broken off after the search has paid for something, and gone on with.
    def breaks(event: Event) -> str:
        if event.spend.rollouts > 10:
            raise KeyboardInterrupt
        return event.step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_kaizen.cli.optimize.event_line", breaks)
        status, out, err = after_a_run("--seed", "3", "--max-rollouts", "200")
    assert (status, out) == (130, "")
    assert err.endswith("greet: the search was broken off; to go on: kaizen optimize greet --resume\n")
    # An estimate in between is no search that came to its end.
    assert after_a_run("--dry-run", "--seed", "3")[0] == 0
    with _store(root) as store:
        statuses = [job.status for job in store.jobs.newest()]
    assert statuses == [JobStatus.COMPLETED, JobStatus.STOPPED, *2 * [JobStatus.COMPLETED]]
    assert after_a_run("--resume", "--seed", "4")[0] == 2
    asked = len(llm.record)
    status, out, err = after_a_run("--resume")
    assert status == 0
    first, verdict, *_ = out.splitlines()
    assert first.startswith("greet: proposal ")
    assert verdict.startswith("accepted: the candidate gained 1.00 ")
    assert "+- Begin with Dear." in out
    assert "to 200 rollouts" in err
    with _store(root) as store:
        jobs = store.jobs.newest()
        # It went on in the job that was broken off, which an estimate has followed.
        job = next(known for known in jobs if "proposal" in known.result)
        [proposal] = store.proposals()
        [insight] = store.insights()
    assert (job.settings["seed"], job.result["proposal"]) == (3, proposal.id)
    assert (insight.rule, insight.criterion) == ("Begin with Dear.", "warm")
    # The evidence can be looked at, and is no part of any run.
    with _store(root) as store:
        evidence_of = store.trace(insight.evidence[0])
        listed = store.traces(limit=10_000)
        assert len(store.runs()) == 1
        assert store.trace("last") == listed[0]
        runs = {trace.run_id for trace in listed}
    assert evidence_of.metadata["kaizen.optimization"] == evidence_of.run_id
    assert evidence_of.run_id in {known.id for known in jobs}
    assert (len(listed), len(runs)) == (40, 1)
    assert evidence_of.run_id not in runs
    assert [(score.name, score.reason) for score in evidence_of.scores] == [
        ("warm", "there is no Dear in it")
    ]
    # What was paid for before is not paid for again, and counts against the caps all the same.
    assert len(llm.record) - asked < proposal.spend.rollouts + proposal.spend.calls
    assert len(llm.record) == job.spend.rollouts + job.spend.calls + 40

    evidence = root / f".kaizen/proposals/greet-{proposal.id}.md"
    assert str(evidence) in out
    assert "Begin with Dear." in evidence.read_text()
    assert evidence.with_suffix(".txt").read_text().rstrip() == proposal.text

    # Each prompt is compared on the held-out cases in a process of its own.
    cases = [TaskCase(f"test_greet.py::test_greeting[{n}]", f"person {n}") for n in range(40)]
    held_out = {case.input for case in split_cases(cases).held_out}
    processes: dict[tuple[str, bool], set[str]] = {}
    for request in llm.record[40:]:
        if request.system in ("You greet people.", proposal.text):
            seen = processes.setdefault((request.system, request.last_user_text in held_out), set())
            seen.add(request.body["metadata"]["user_id"])
    before, after = (processes[text, True] for text in ("You greet people.", proposal.text))
    assert (len(before), len(after)) == (1, 1)
    assert before.isdisjoint(after | processes["You greet people.", False])
    assert after.isdisjoint(processes[proposal.text, False])

    # It was compared with version 1, and says nothing about another one.
    (root / "prompts/greet/2.md").write_text("Say hello.\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAIZEN_PROMPT_VERSION", "greet=1")
        status, out, err = after_a_run("--activate")
    assert status == 2
    assert "was compared with version 1, and version 2 of 'greet' is active: not activated" in err
    (root / "prompts/greet/2.md").unlink()

    # The open proposal is shown again, at no cost, and may be activated.
    asked = len(llm.record)
    status, out, err = after_a_run("--json")
    shown = json.loads(out)
    assert (status, err.startswith("a proposal for this prompt is open ")) == (0, True)
    assert (shown["task"], shown["proposal"]["id"], shown["activated"]) == ("greet", proposal.id, None)
    assert (shown["evidence"], shown["sentence"]) == (str(evidence), verdict)
    status, out, _ = after_a_run("--activate")
    assert (status, len(llm.record)) == (0, asked)
    assert out.startswith("a proposal for this prompt is open (drop it: --dismiss): ")
    assert out.endswith("greet: version 2 is active\n")
    assert (root / "prompts/greet/2.md").read_text().endswith("- Begin with Dear.\n")
    assert "active: 2" in (root / "kaizen.lock").read_text()
    with _store(root) as store:
        assert [found.status for found in store.proposals()] == [ProposalStatus.ACTIVATED]


def test_what_it_refuses_before_any_call(
    command: Command, pytester: pytest.Pytester, llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_worker(launch: Launch) -> WorkerProcess:
        raise AssertionError(launch)

    monkeypatch.setattr("pytest_kaizen.pipeline.suite.WorkerProcess", no_worker)
    refusals: dict[tuple[str, ...], str] = {
        (): "no run in the store has all cases of 'greet'; run `pytest --kaizen` first",
        ("--resume",): "--resume: no search for 'greet' was broken off",
        ("--resume", "--budget-usd", "1"): "--resume goes on with the engine, the caps and the seed that",
    }
    for arguments, why in refusals.items():
        status, out, err = command(*arguments)
        assert (status, out) == (2, "")
        assert why in err
    (pytester.path / "prompts/greet/1.md").unlink()
    assert "no prompt of 'greet' here" in command()[2]
    assert llm.record == []


def test_an_open_proposal_is_shown_activated_only_if_proved_or_dropped(
    command: Command, pytester: pytest.Pytester
) -> None:
    verdict = Acceptance(
        decision=Decision.UNDERPOWERED,
        min_gain=0.02,
        confidence=0.95,
        look=1,
        level=0.03,
        sentence="underpowered: too few",
    )
    proposal = Proposal(
        id="0123",
        task="greet",
        parent_sha256=sha256_of("You greet people."),
        sha256=sha256_of("Dear you."),
        text="Dear you.",
        diff=["+Dear you."],
        engine="insights",
        acceptance=verdict,
        spend=Spend(),
    )
    with _store(pytester.path) as store:
        store.save_proposal(proposal)
    status, out, _ = command()
    assert (status, "underpowered: too few" in out) == (0, True)
    status, out, _ = command("--activate")
    assert status == 1
    assert out.endswith("not activated: it is not proved to be better, so that is for a person to decide\n")
    assert not (pytester.path / "prompts/greet/2.md").exists()
    status, _, err = command("--dismiss")
    assert (status, "no run in the store" in err) == (2, True)
    with _store(pytester.path) as store:
        assert [found.status for found in store.proposals()] == [ProposalStatus.DISMISSED]


def test_one_search_at_a_time(command: Command, pytester: pytest.Pytester) -> None:
    known = {"prompt_sha256": "another", "engine": "insights", "seed": 0, "run_id": "r"}
    caps = {"budget_usd": 1.0, "max_rollouts": 9}
    with _store(pytester.path) as store:
        job = jobs.start(store, "optimize", "greet", known | caps)
    status, _, err = command()
    assert status == 1
    assert f"job {job.id} (optimize for 'greet') is under way; its process {job.owner} showed" in err
    status, _, err = command("--resume")
    assert status == 2
    assert "is for another version of 'greet'; make that one active, or name it" in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--budget-usd", "0"], "expected an amount in US dollars above 0 (found '0')"),
        (["--budget-usd", "much"], "expected an amount in US dollars above 0 (found 'much')"),
        (["--max-rollouts", "0"], "expected a whole number, 1 or more (found '0')"),
        (["--engine", "magic"], "invalid choice: 'magic'"),
    ],
)
def test_bad_arguments(
    arguments: list[str], why: str, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command(*arguments)
    assert caught.value.code == 2
    assert why in capsys.readouterr().err.replace(", ".join(map(repr, ENGINES)), ", ".join(ENGINES))
