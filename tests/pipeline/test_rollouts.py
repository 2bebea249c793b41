from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_kaizen.models import Feedback, Sample, Score, ScoreSource, Span, SpanKind, Trace
from pytest_kaizen.pipeline.rollouts import rollout

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def sample(scores: list[Score], spans: list[Span], **fields: Any) -> Sample:
    trace = Trace(id="t", name="n", created_at=NOW, output={"a": 1}, scores=scores, spans=spans)
    return Sample(trace=trace, **{"passed": True, "metrics": {}, "missing": {}, **fields})


def span(kind: SpanKind = SpanKind.LLM, cost: float | None = 0.5, error: str | None = None) -> Span:
    return Span(id="s", name="call", kind=kind, cost_usd=cost, started_at=NOW, error=error)


def score(name: str, value: float | None, rubric: str | None = None, **fields: Any) -> Score:
    return Score(name=name, value=value, source=ScoreSource.JUDGE, rubric=rubric, **fields)


def test_each_criterion_says_why_and_the_total_does_not() -> None:
    scores = [
        score("summary.faithful", 0.0, "summary", reason="it promises", expected="no promise"),
        score("summary", 0.25, "summary", reason="summary.faithful 0.00"),
        score("polite", None, error="the judge was away"),
    ]
    metrics = {"summary.faithful": 0.0, "summary": 0.25, "score": 0.25, "cost_usd": 1.0}
    found = rollout(
        "case", 3, sample(scores, [span(), span(SpanKind.JUDGE), span(SpanKind.TOOL, None)], metrics=metrics)
    )
    assert (found.case_id, found.sample, found.score, found.error) == ("case", 3, 0.25, None)
    assert found.output == '{"a": 1}'
    assert found.feedback == (
        Feedback(criterion="summary.faithful", score=0.0, expected="no promise", reason="it promises"),
        Feedback(criterion="polite", reason="the judge was away"),
    )
    assert found.objectives == {"summary.faithful": 0.0, "summary": 0.25}
    assert found.cost_usd == 1.0


@pytest.mark.parametrize("kind", [SpanKind.LLM, SpanKind.JUDGE])
def test_a_call_without_a_price_makes_the_cost_unknown(kind: SpanKind) -> None:
    found = rollout("case", 0, sample([], [span(), span(kind, None)], metrics={"pass_rate": 1.0}))
    assert (found.cost_usd, found.score) == (None, 1.0)


def test_a_scorer_that_failed_is_an_error_and_no_zero() -> None:
    scores = [score("polite", None, error="away")]
    found = rollout(
        "case", 0, sample(scores, [], missing={"score": "polite: away"}, metrics={"pass_rate": 1.0})
    )
    assert (found.score, found.error) == (None, "polite: away")


def test_a_body_that_raises_is_worth_nothing_unless_a_call_failed() -> None:
    raised = {"error": "ValueError: not JSON", "passed": False, "metrics": {"polite": 1.0, "score": 1.0}}
    found = rollout("case", 0, sample([score("polite", 1.0)], [span()], **raised))
    assert (found.score, found.error) == (0.0, None)
    assert found.feedback[-1].reason == "ValueError: not JSON"
    failed = rollout("case", 0, sample([score("polite", 1.0)], [span(error="HTTP 529")], **raised))
    assert (failed.score, failed.error) == (None, "a model call failed: HTTP 529")
