"""``--kaizen-optimize``: a search for a better prompt, when a gate of a task failed."""

from __future__ import annotations

import json

import pytest

from pytest_kaizen.models import JobStatus
from pytest_kaizen.scripted import Request
from tests.plugin.conftest import Suite

TEST = """
    import pytest

    @pytest.mark.kaizen("greet")
    @pytest.mark.parametrize("number", range(40))
    def test_greeting(kaizen, ask, number):
        text = ask(f"person {number}", system=kaizen.prompt("greet").text)
        kaizen.check("warm", float("Dear" in text), "there is no Dear in it")
"""


@pytest.fixture
def weak(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A suite whose prompt fails its gate, and a model that can be told to be polite."""

    def answer(request: Request) -> str:
        wanted = (request.schema or {}).get("properties", {})
        if "lessons" in wanted:
            lesson = dict.fromkeys(["justification", "section", "when", "replaces"], "")
            lesson |= {"criterion": "warm", "rule": "Begin with Dear.", "confidence": "high"}
            return json.dumps({"lessons": [{**lesson, "evidence": [1]}]})
        return f"{'Dear' if 'Begin with Dear.' in request.system else 'Hey'} {request.last_user_text}"

    suite.llm.reply(answer)
    suite.prompts("greet", "You greet people.")
    suite.write("tasks: {greet: {gate: [{metric: warm, min: 0.9}]}}", "kaizen.yaml")
    suite.write(TEST)
    for name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "BUILDKITE", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)
    return suite


def _jobs(suite: Suite) -> list[JobStatus]:
    with suite.store as store:
        return [job.status for job in store.jobs.newest()]


FAILED = "kaizen: FAILED on a whole task: greet: warm 0.00 [0.00, 0.09] >= 0.90: fail over 40 samples"


def test_never_unless_asked(weak: Suite) -> None:
    weak.run(passed=40, code=1)
    assert weak.last_line == FAILED
    assert len(weak.llm.record) == 40
    assert _jobs(weak) == []


@pytest.mark.parametrize("value", ["pr", "always"])
def test_other_values_are_refused(weak: Suite, value: str) -> None:
    weak.run(f"--kaizen-optimize={value}", code=4)
    expected = f"--kaizen-optimize: expected one of never, propose, activate (found '{value}')"
    assert expected in weak.errors
    assert weak.llm.record == []


def test_proposes_and_activates(weak: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIZEN_OPTIMIZE", "propose")
    # The suite is run as it was: with this junit file, which no worker may write.
    weak.run("--junitxml=junit.xml", passed=40, code=1)
    assert 'tests="40"' in (weak.root / "junit.xml").read_text()
    assert "kaizen: greet: a search takes 80 to 400 rollouts, " in weak.text
    assert "accepted: the candidate gained 1.00 " in weak.text
    assert "+- Begin with Dear." in weak.text
    assert weak.last_line == FAILED
    # A case's input is what it was given beside the prompt, which the reflecting model sees once.
    shown = [request.last_user_text for request in weak.llm.record if request.schema]
    assert shown
    assert all(text.count("You greet people.") == 1 for text in shown)
    with weak.store as store:
        [proposal] = store.proposals()
        [run] = store.runs()
        [job] = store.jobs.newest()
    assert (job.status, job.triggered_by, job.settings["run_id"]) == (JobStatus.COMPLETED, "gate", run.id)
    evidence = weak.root / f".kaizen/proposals/greet-{proposal.id}.md"
    assert f"kaizen: evidence: {evidence}" in weak.text
    assert "Begin with Dear." in evidence.read_text()
    assert not (weak.root / "prompts/greet/2.md").exists()

    # It stays open: no second search, and the command line wins over the environment.
    asked = len(weak.llm.record)
    weak.run("--kaizen-optimize=activate", passed=40, code=1)
    assert "a search takes" not in weak.text
    assert "kaizen: greet: version 2 is active" in weak.text
    assert len(weak.llm.record) == asked + 40
    weak.run(passed=40, code=0)
    assert weak.table["greet"]["prompt"] == "v2"


def test_not_when_it_is_not_the_whole_task_or_may_be_a_stranger(
    weak: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak.write(TEST.replace("@pytest", '@pytest.mark.kaizen_threshold("warm", min=0.9)\n    @pytest', 1))
    weak.run("--kaizen-optimize=propose", "-k", "1", code=1)
    assert "a search takes" not in weak.text
    weak.write(TEST)
    asked = len(weak.llm.record)
    monkeypatch.setenv("CIRCLECI", "true")
    monkeypatch.setenv("CIRCLE_PR_NUMBER", "7")
    weak.run("--kaizen-optimize=propose", passed=40, code=1)
    assert "kaizen: no search for a better prompt: this pull request may come from a fork" in weak.text
    assert weak.last_line == FAILED
    assert len(weak.llm.record) == asked + 40
    assert _jobs(weak) == []


def test_not_when_the_session_was_broken_off(weak: Suite) -> None:
    weak.write(f"{TEST}        if number == 39: pytest.exit('enough')\n")
    weak.run("--kaizen-optimize=propose", code=2)
    assert "a search takes" not in weak.text
    assert _jobs(weak) == []


def test_what_goes_wrong_in_it_changes_no_outcome(weak: Suite) -> None:
    # Nobody fetches the prompt: another one would change nothing.
    weak.write(TEST.replace('kaizen.prompt("greet").text', '"be polite"'))
    weak.run("--kaizen-optimize=propose", passed=40, code=1)
    assert "kaizen: no better prompt for greet: no case of 'greet' fetched its prompt in run" in weak.text
    assert weak.last_line == FAILED
