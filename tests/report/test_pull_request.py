"""What a pull request says: all of the evidence, and nothing that a git host would act on."""

from __future__ import annotations

import re

from pytest_kaizen.models import Insight
from pytest_kaizen.report.documents import pull_request_text, pull_request_title
from tests.pipeline.pulls.conftest import proposal

HOSTILE = [
    "@octocat please look, fixes #12 and GH-13",
    "<img src=x onerror=alert(1)> <!-- hidden -->",
    "::error file=app.py::broken",
    "##[error]broken",
    "````",
    "[click](https://evil.example)",
    "\x1b]8;;https://evil.example\x1b\\",
]


def _outside_fences(text: str) -> str:
    return re.sub(r"^(`{3,})\w+\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)


def test_what_models_wrote_is_shown_and_acts_nowhere() -> None:
    bad = proposal(
        "\n".join(HOSTILE),
        diff=[f"+{line}" for line in HOSTILE],
        insights=[Insight(id="i", task="greet", rule=line, justification=line) for line in HOSTILE],
    )
    text = pull_request_text(bad)
    outside = _outside_fences(text)
    for sign in ("@", "<", "::", "##[", "[click]", "octocat", "evil", "#12"):
        assert sign not in outside, sign
    assert "octocat please look" in text
    # What a host may take for a commit's message later mentions and closes nothing either.
    assert not re.search(r"@\w|#\d|GH-\d|://\w", text)
    assert not re.search(r"^\s*::\w|##\[|\x1b", text, re.MULTILINE)


def test_it_holds_the_evidence() -> None:
    text = pull_request_text(proposal())
    assert text.startswith("Merging it makes this version the active one. ")
    for part in (
        "# Proposal 0123456789abcdef",
        "12 rollouts, 3 calls to the reflecting model, $0.5000",
        "accepted: the candidate gained 0.70",
        "+- Begin with Dear.",
        "- Begin with Dear. (it was cold)",
        "test_greet.py::test_it[1]",
        "1 of 1 cases won, 0 lost",
    ):
        assert part in text, part
    # The prompt is the changed file.
    assert "## Prompt" not in text


def test_it_is_no_longer_than_a_host_takes() -> None:
    for long in ("@" + "a#1" * 40_000, "`" * 120_001):
        much = [Insight(id="i", task="greet", rule=long, justification=long)]
        verdict = proposal().acceptance.model_copy(update={"sentence": long})
        text = pull_request_text(proposal(long, diff=[f"+{long}"], insights=much, acceptance=verdict))
        assert len(text) < 65_536
        assert "… (cut: 120002 characters)" in text
        assert _outside_fences(text).count("`") == 2
    assert len(pull_request_title(proposal(task="greet" * 100))) == 200


def test_the_title_is_one_harmless_line() -> None:
    assert pull_request_title(proposal(task="a\n@b")) == "A better prompt for a @\u200bb"
