"""``--kaizen-optimize``: a search for a better prompt, when a gate of a task failed."""

from __future__ import annotations

import json

import pytest

# pytester throws away what a run imported, and with it what a test has replaced there.
import pytest_kaizen.plugin.optimizing  # noqa: F401
from pytest_kaizen.models import JobStatus
from pytest_kaizen.scripted import Request
from tests.pipeline.pulls.conftest import FakeGitHub, git, github, with_remote
from tests.plugin.conftest import Suite

__all__ = ["github"]

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


def test_other_values_are_refused(weak: Suite) -> None:
    weak.run("--kaizen-optimize=always", code=4)
    expected = "--kaizen-optimize: expected one of never, propose, activate, pr (found 'always')"
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


def test_opens_a_pull_request(weak: Suite, github: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = with_remote(weak.root)
    # What cannot end in a pull request does not begin.
    with monkeypatch.context() as patch:
        patch.delenv("GITHUB_TOKEN")
        weak.run("--kaizen-optimize=pr", passed=40, code=1)
    assert "kaizen: no better prompt for greet: a pull request needs GITHUB_TOKEN" in weak.text
    assert len(weak.llm.record) == 40

    weak.run("--kaizen-optimize=pr", passed=40, code=1)
    assert "kaizen: greet: pull request: https://github.example/acme/shop/pull/7" in weak.text
    assert weak.last_line == FAILED
    [asked] = github.posted
    assert "+- Begin with Dear." in asked["body"]
    assert not (weak.root / "prompts/greet/2.md").exists()
    assert git(weak.root, "branch", "--format=%(refname:short)") == "trunk"
    branch = asked["head"]
    assert "- Begin with Dear." in git(remote, "show", f"{branch}:prompts/greet/2.md")

    # It is open: neither this checkout nor a fresh one searches again, and it does not search itself.
    spent = len(weak.llm.record)
    weak.run("--kaizen-optimize=pr", passed=40, code=1)
    assert "kaizen: greet: pull request: https://github.example/acme/shop/pull/7" in weak.text
    weak.database.unlink()
    weak.run("--kaizen-optimize=pr", passed=40, code=1)
    taken = "kaizen: no search for a better prompt of greet: a proposal for this prompt is on the branch "
    assert f"{taken}{branch} of 'origin'" in weak.text
    git(weak.root, "fetch", "-q")
    git(weak.root, "checkout", "-q", branch)
    weak.write("You greet nobody.", "prompts/greet/3.md")
    weak.write("", "kaizen.lock")
    weak.run("--kaizen-optimize=propose", passed=40, code=1)
    assert f"kaizen: no search for a better prompt: the branch {branch} is a proposal itself" in weak.text
    assert len(weak.llm.record) == spent + 3 * 40
    assert len(github.posted) == 1


def test_a_task_has_settings_of_its_own(weak: Suite) -> None:
    weak.write(
        "optimize: activate\n"
        "tasks: {greet: {gate: [{metric: warm, min: 0.9}], optimize: {mode: propose, max_rollouts: 7}}}",
        "kaizen.yaml",
    )
    weak.run(passed=40, code=1)
    assert "kaizen: no better prompt for greet: a budget of 7 rollouts is too small for 'greet'" in weak.text
    asked = len(weak.llm.record)
    weak.run("--kaizen-optimize=never", passed=40, code=1)
    assert "no better prompt" not in weak.text
    assert len(weak.llm.record) == asked + 40


def test_an_engine_that_breaks_changes_no_outcome(weak: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object, **named: object) -> None:
        raise ZeroDivisionError(f"{bool(given)} and {bool(named)}")

    monkeypatch.setattr("pytest_kaizen.plugin.optimizing.optimize_task", broken)
    weak.run("--kaizen-optimize=propose", passed=40, code=1)
    assert "kaizen: no better prompt for greet: ZeroDivisionError: True and True" in weak.text
    assert weak.last_line == FAILED


def test_a_prompt_under_which_a_critical_criterion_falls_is_not_proposed(weak: Suite) -> None:
    weak.write(
        """
        name: greeting
        criteria:
        - {name: warm, weight: 0.9, check: {contains: Dear}}
        - {name: modern, weight: 0.1, check: {not_contains: Dear}, critical: true}
        """,
        "rubric.yaml",
    )
    weak.write("tasks: {greet: {rubric: rubric.yaml, gate: [{metric: warm, min: 0.9}]}}", "kaizen.yaml")
    weak.run("--kaizen-optimize=propose", passed=40, code=1)
    assert "kaizen: no better prompt for greet: rejected: the candidate gained 0." in weak.text
    assert "critical criteria fell or could not be compared: greeting.modern" in weak.text
    with weak.store as store:
        assert store.proposals() == []
