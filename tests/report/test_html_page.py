"""The HTML report as a text: what it holds, and what its policy lets be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_kaizen.models import (
    Case,
    GateResult,
    Outcome,
    Run,
    Sample,
    Scope,
    TaskSummary,
    Trace,
)
from pytest_kaizen.report.html import LONGEST_TEXT, limit, run_html

AT = datetime(2026, 1, 2, tzinfo=UTC)


def gate(bar: str = ">= 0.80", outcome: Outcome = Outcome.FAIL) -> GateResult:
    return GateResult(
        scope=Scope.TASK, task="greet", name="warmth", figure=0.5, bar=bar, outcome=outcome, sentence="low"
    )


def a_run(number: int = 0, gates: Sequence[GateResult] = ()) -> Run:
    task = TaskSummary(task="greet", cases=1, collected=1, samples=1, score=0.5, gates=list(gates))
    return Run(id=f"run-{number}", created_at=AT + timedelta(days=number), tasks=[task], exit_status=0)


def a_case(output: Any = "hello", name: str = "t.py::test_a", **metrics: float) -> Case:
    trace = Trace(id="f" * 32, name="test_a", created_at=AT, output=output)
    sample = Sample(trace=trace, passed=True, metrics=metrics or {"warmth": 0.5, "score": 0.5, "calls": 1})
    return Case(id=name, run_id="run-0", task="greet", samples=[sample])


def held(page: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="data-{name}">(.*?)</script>', page)
    assert found
    return json.loads(found[1])


def test_the_run_and_each_case_stand_in_it_apart() -> None:
    failed = gate()
    page = run_html(a_run(1, [failed]), [failed], [failed], [a_case(), a_case("ciao")], {"greet": [a_run()]})
    run = held(page, "run")
    assert run["verdict"] == "FAILED on a whole task: greet: low"
    assert run["passed"] is False
    assert run["tasks"][0]["criteria"] == ["warmth"]
    assert run["tasks"][0]["gates"][0]["limit"] == 0.8
    assert [(past["id"], past["figures"]["score"]["figure"]) for past in run["tasks"][0]["history"]] == [
        ("run-0", 0.5),
        ("run-1", 0.5),
    ]
    assert run["tasks"][0]["history"][1]["figures"]["warmth"] == {"figure": 0.5, "interval": None}
    assert [held(page, f"case-{number}")[0]["output"] for number in (0, 1)] == ["hello", "ciao"]


@pytest.mark.parametrize(
    ("exit_status", "outcome", "passed"),
    [(0, Outcome.PASS, True), (1, Outcome.PASS, False), (0, Outcome.UNDECIDED, False)],
)
def test_passed_is_what_missed_no_bar_and_exits_0(exit_status: int, outcome: Outcome, passed: bool) -> None:
    decided = gate(outcome=outcome)
    run = a_run(gates=[decided]).model_copy(update={"exit_status": exit_status})
    assert held(run_html(run, [decided], [], [], {}), "run")["passed"] is passed


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--<script>", "\u2028</SCRIPT >"])
def test_no_text_ends_the_element_that_holds_it(text: str) -> None:
    run = a_run().model_copy(update={"branch": text})
    bare = run_html(a_run(), [], [], [a_case("", "")], {})
    page = run_html(run, [], [], [a_case(text, text)], {})
    assert page.count("<") == bare.count("<")
    assert held(page, "run")["branch"] == text
    assert held(page, "run")["cases"][0]["id"] == text
    assert held(page, "case-0")[0]["output"] == text


def test_a_huge_text_is_cut() -> None:
    page = run_html(a_run(), [], [], [a_case({"deep": ["x" * (LONGEST_TEXT + 7)]})], {})
    assert held(page, "case-0")[0]["output"] == {
        "deep": ["x" * LONGEST_TEXT + "… (7 more characters in the store)"]
    }


def test_the_policy_lets_the_pages_own_scripts_and_styles_be_and_no_others() -> None:
    page = run_html(a_run(), [], [], [a_case()], {})
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert policy
    rules = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert rules[rule].split() == [f"'sha256-{digest}'" for digest in digests]
        assert len(texts) > 1
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert not re.search(r"<[^>]*\b(src|href)=", page)


@pytest.mark.parametrize(
    ("bar", "expected"),
    [
        (">= 0.80", 0.8),
        ("<= 10000", 10000),
        ("<= 10000 in 99.5% of samples", 0.995),
        ("drop <= 0.05", None),
        ("locked", None),
    ],
)
def test_the_number_that_a_figure_is_compared_with(bar: str, expected: float | None) -> None:
    assert limit(gate(bar)) == expected
