from __future__ import annotations

from pytest_kaizen.models import (
    Acceptance,
    CasePair,
    CriterionPair,
    Decision,
    Insight,
    Interval,
    Proposal,
    Spend,
)
from pytest_kaizen.report.documents import proposal_lines, proposal_markdown


def proposal(text: str = "Be warm.") -> Proposal:
    verdict = Acceptance(
        decision=Decision.ACCEPTED,
        before=0.25,
        after=0.75,
        before_interval=Interval(low=0.1, high=0.5),
        after_interval=Interval(low=0.5, high=0.9),
        min_gain=0.02,
        confidence=0.95,
        look=1,
        level=0.03,
        cases=[CasePair(case_id="a", before=0.0, after=1.0), CasePair(case_id="b", before=0.5, after=0.5)],
        criteria=[CriterionPair(name="warm", before=0.2, after=None, critical=True, fell=True)],
        missing=["c"],
        sentence="accepted: it gained",
    )
    return Proposal(
        id="0123",
        task="greet",
        parent_sha256="aa",
        sha256="bb",
        text=text,
        diff=["--- active", "+++ candidate", f"+{text}"],
        insights=[Insight(id="i", task="greet", rule="Be warm.", justification="It was\ncold.")],
        engine="insights",
        acceptance=verdict,
        spend=Spend(rollouts=7, calls=2, usd=0.5),
    )


def test_terminal() -> None:
    assert proposal_lines(proposal()) == [
        "greet: proposal 0123 (7 rollouts, 2 calls to the reflecting model, $0.5000)",
        "accepted: it gained",
        "                 before             after",
        "---------------  -----------------  -----------------",
        "score            0.25 [0.10, 0.50]  0.75 [0.50, 0.90]",
        "warm (critical)  0.20",
        "1 of 2 cases won, 0 lost, 1 without a score",
        "--- active",
        "+++ candidate",
        "+Be warm.",
    ]


def test_what_a_model_wrote_is_harmless() -> None:
    hostile = "\x1b[2J\n::error::no\n````\n# Approved @everyone"
    lines = proposal_lines(proposal(hostile))
    assert not any("\x1b" in line or line.startswith("::error") for line in lines)
    # Outside of the fences there is nothing that it wrote.
    outside, fence = [], ""
    for line in proposal_markdown(proposal(hostile)).splitlines():
        if not fence and line.startswith("```"):
            fence = line.rstrip("adefilmtx")
        elif fence and line == fence:
            fence = ""
        elif not fence:
            outside.append(line)
    assert fence == ""
    assert [line for line in outside if line] == [
        "# Proposal 0123",
        "Found by the engine `insights` with 7 rollouts, 2 calls to the reflecting model, $0.5000.",
        "The search never saw the held-out cases.",
        "## Task",
        "## Verdict",
        "## Changes",
        "## Rules",
        "## Held-out cases",
        "## Prompt",
    ]


def test_evidence() -> None:
    text = proposal_markdown(proposal())
    assert "- Be warm. (It was cold.)" in text
    assert "```diff\n--- active\n+++ candidate\n+Be warm.\n```" in text
    assert "case      before    after\n------  --------  -------\na           0.00     1.00" in text
