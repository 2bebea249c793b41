"""A failed gate asks Kaizen CT for a better prompt, when the user pays for that and not else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite
    from tests.plugin.upload.conftest import FakeCT

YAML = "tasks: {support: {gate: [{metric: polite, min: 0.8}]}}\nbackends: {kaizen-ct: {}}\n"
WEAK = """
    import pytest

    @pytest.mark.kaizen("support")
    @pytest.mark.parametrize("ticket", ["login", "refund"])
    def test_it(kaizen, ticket):
        kaizen.case(input={"ticket": ticket}, output=f"about {ticket}")
        kaizen.score("polite", 0.5)
"""


@pytest.fixture(autouse=True)
def project(suite: Suite) -> None:
    suite.write(YAML, "kaizen.yaml")
    suite.write(WEAK)


def test_asked_once_with_its_estimate_and_budget_warning(suite: Suite, ct: FakeCT) -> None:
    suite.run("--kaizen-optimize=propose", passed=2, code=1)
    (job,) = ct.jobs
    assert job.task_id == ct.tasks["support"].id
    lines = suite.result.outlines
    assert (
        f"kaizen: kaizen-ct: optimisation of support started: job {job.id}, about $1.25 "
        "for 240 calls to teacher and judge"
    ) in lines
    assert "kaizen: kaizen-ct: budget warning: estimated $1.25 exceeds the budget of $1.00" in lines
    assert "kaizen: kaizen-ct: 3 sent" in lines
    assert "search" not in suite.text
    assert suite.last_line.startswith("kaizen: FAILED on a whole task: support: polite 0.50")


def test_never_uploads_and_asks_for_nothing(suite: Suite, ct: FakeCT) -> None:
    suite.run(passed=2, code=1)
    assert (len(ct.feedback), ct.jobs) == (2, [])


def test_a_gate_that_passes_asks_for_nothing(suite: Suite, ct: FakeCT) -> None:
    suite.write(WEAK.replace("0.5", "0.9"))
    suite.run("--kaizen-optimize=propose", passed=2, code=0)
    assert (len(ct.feedback), ct.jobs) == (2, [])


def test_a_part_of_the_suite_asks_for_nothing(suite: Suite, ct: FakeCT) -> None:
    suite.run("--kaizen-optimize=propose", "-k", "login")
    assert (len(ct.feedback), ct.jobs) == (1, [])


def test_a_pull_request_from_a_fork_asks_for_nothing(
    suite: Suite, ct: FakeCT, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = {"head": {"repo": {"full_name": "them/it"}}, "base": {"repo": {"full_name": "us/it"}}}
    event = suite.write(json.dumps({"pull_request": {"number": 7, **repository}}), "event.json")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event))
    suite.run("--kaizen-optimize=propose", passed=2, code=1)
    assert (len(ct.feedback), ct.jobs) == (2, [])
    assert (
        "support: no search for a better prompt: this pull request may come from a fork"
        in suite.result.outlines
    )
    assert suite.stored_run.ci is not None
    assert suite.stored_run.ci.fork is True


def test_with_optimize_false_the_search_is_here(suite: Suite, ct: FakeCT) -> None:
    suite.write(YAML.replace("{}", "{optimize: false}"), "kaizen.yaml")
    suite.run("--kaizen-optimize=propose", passed=2, code=1)
    assert (len(ct.feedback), ct.jobs) == (2, [])
    assert "kaizen: no better prompt for support: " in suite.text


def test_what_cannot_be_asked_now_is_asked_later_once(suite: Suite, ct: FakeCT) -> None:
    ct.down = 503
    suite.run("--kaizen-optimize=propose", "--kaizen-upload-timeout=0.2", passed=2, code=1)
    assert "3 owed, 0 sent" in suite.text
    ct.down = None
    with suite.store as store:
        assert store.outbox.state("kaizen-ct").owed == 3
    from pytest_kaizen.cli import main

    assert main(["--root", str(suite.root), "sync"]) == 0
    assert (len(ct.feedback), len(ct.jobs)) == (2, 1)
    assert main(["--root", str(suite.root), "sync"]) == 0
    assert (len(ct.feedback), len(ct.jobs)) == (2, 1)


def test_waiting_for_the_end(suite: Suite, ct: FakeCT) -> None:
    ct.statuses = ["EVALUATING", "EVALUATING", "FAILURE"]
    suite.run("--kaizen-optimize=propose", "--kaizen-wait", passed=2, code=1)
    lines = [line for line in suite.result.outlines if ": support: " in line]
    assert lines[:2] == [
        "kaizen: kaizen-ct: support: step of EVALUATING",
        "kaizen: kaizen-ct: support: the optimisation failed: FAILURE",
    ]


def test_weak_prompt_uploaded_optimised_pulled_and_good(suite: Suite, ct: FakeCT) -> None:
    """The whole way: a gate fails, the platform finds a better version, the next run passes."""
    suite.write("prompts: {from: kaizen-ct}\n" + YAML, "kaizen.yaml")
    suite.write("""
        import pytest

        @pytest.mark.kaizen("support")
        @pytest.mark.parametrize("ticket", ["the Lumo flickers", "my Lumo is dead"])
        def test_it(kaizen, ask, ticket):
            answer = ask(ticket, system=kaizen.prompt("support").render())
            kaizen.score("polite", 1.0 if "Lumo" in answer else 0.0)
    """)
    suite.llm.reply("Sorry for your Lumo.", when=lambda request: "product" in request.system)
    ct.know("support")
    ct.prompt, ct.better = "Answer the ticket.", "Answer the ticket and name the product."

    suite.run("--kaizen-optimize=propose", "--kaizen-wait", passed=2, code=1)
    assert suite.table["support"]["prompt"] == "v1"
    assert suite.last_line.startswith("kaizen: FAILED on a whole task: support: polite 0.00")
    assert [entry.score for entry in ct.feedback] == [0.0, 0.0]
    assert "the optimisation found version" in suite.text

    suite.run("--kaizen-optimize=propose", "--kaizen-wait", passed=2, code=0)
    assert suite.table["support"]["prompt"] == "v2"
    assert [entry.score for entry in ct.feedback[2:]] == [1.0, 1.0]
    assert len(ct.jobs) == 1
