from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_kaizen.models import (
    Case,
    GateResult,
    Outcome,
    Run,
    Sample,
    Scope,
    Score,
    ScoreSource,
    Span,
    SpanKind,
    TaskSummary,
    Trace,
    Usage,
)
from pytest_kaizen.report.terminal import Line, sample_lines, summary_lines, terse_lines

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOSTILE = "\x1b[31m::error::x\n##[error]y"


def gate(outcome: Outcome, sentence: str, case: str | None = None) -> GateResult:
    scope = Scope.TASK if case is None else Scope.CASE
    return GateResult(
        scope=scope, task="greet", case_id=case, name="score", bar="", outcome=outcome, sentence=sentence
    )


def run(*gates: GateResult) -> Run:
    task = TaskSummary(
        task="greet",
        cases=2,
        collected=2,
        samples=2,
        score=0.5,
        prompts="v1",
        calls=2,
        input_tokens=7,
        output_tokens=5,
        cost_usd=0.25,
        latency_p50_ms=1,
        latency_p95_ms=2,
        gates=list(gates),
    )
    return Run(id="run-1", created_at=NOW, tasks=[task])


def headers(lines: list[Line]) -> str:
    return " ".join(lines[0].text.split())


def test_without_a_width_every_column_is_there() -> None:
    lines = summary_lines(run(), unstored=None)
    assert headers(lines) == "task cases samples score pass prompt calls tokens cost p50/p95 gate"
    assert len(lines) == 3


def test_columns_make_room_on_a_narrow_terminal_and_it_says_which() -> None:
    full = len(summary_lines(run(), unstored=None)[1].text)
    assert headers(summary_lines(run(), unstored=None, width=full)) == headers(
        summary_lines(run(), unstored=None)
    )
    lines = summary_lines(run(), unstored=None, width=full - 1)
    assert headers(lines) == "task cases samples score pass prompt calls cost p50/p95 gate"
    assert lines[-1].text == "(no room for: tokens)"
    lines = summary_lines(run(), unstored=None, width=5)
    assert headers(lines) == "task cases score gate"
    assert lines[-1].text == "(no room for: tokens, calls, p50/p95, samples, cost, pass, prompt)"


def test_terse_keeps_what_does_not_hold_and_what_was_not_stored() -> None:
    gates = [gate(Outcome.PASS, "fine"), gate(Outcome.FAIL, "low"), gate(Outcome.UNDECIDED, "unclear")]
    failing = [Line("greet: low", Outcome.FAIL), Line("greet: unclear", Outcome.UNDECIDED)]
    lines = terse_lines(run(*gates), unstored=None)
    assert headers(lines) == "task cases samples score prompt gate"
    assert lines[3:] == failing
    assert terse_lines(run(*gates), unstored=None, with_table=False) == failing
    assert terse_lines(run(gates[0]), unstored=None, with_table=False) == []
    assert terse_lines(run(), unstored="the disk is full", with_table=False) == [
        Line("NOT STORED: some samples of this run could not be written: the disk is full", Outcome.FAIL)
    ]


def sample(number: int, passed: bool | None = True) -> Sample:
    spans = [
        Span(
            id="a",
            name="chat",
            kind=SpanKind.LLM,
            started_at=NOW,
            cost_usd=0.5,
            latency_ms=120,
            usage=Usage(input_tokens=7, output_tokens=5),
        ),
        Span(id="b", name="judge", kind=SpanKind.JUDGE, started_at=NOW, cost_usd=4),
    ]
    scores = [
        Score(name="polite", value=1, source=ScoreSource.CHECK, reason="says\nplease"),
        Score(name="kind", source=ScoreSource.JUDGE, error="no answer"),
    ]
    trace = Trace(id=f"t{number}", name="x", created_at=NOW, spans=spans, scores=scores, sample=number)
    return Sample(trace=trace, passed=passed, metrics={"score": 0.75}, prompts={"greet": (2, "s")})


def test_every_sample_with_its_figures_and_reasons() -> None:
    bad = sample(1, passed=False).model_copy(update={"error": "Boom: a\nb", "missing": {"kind": "no answer"}})
    case = Case(id="t.py::test_a", run_id="r", task="greet", samples=[sample(0), bad])
    case.gates = [gate(Outcome.FAIL, "score low", case.id)]
    figures = "score 0.75, greet v2, 1 call, 7/5 tokens, $0.5000, 120 ms"
    scores = ["    polite: 1.00 (check): says please", "    kind: no score (judge): no answer"]
    assert [line.text for line in sample_lines([case])] == [
        "greet: t.py::test_a passed",
        f"  sample 0 passed, trace t0, {figures}",
        *scores,
        f"  sample 1 failed, trace t1, {figures}",
        *scores,
        "    no kind: no answer",
        "    error: Boom: a b",
        "  score low",
    ]
    assert [line.outcome for line in sample_lines([case])][-2:] == [None, Outcome.FAIL]


@pytest.mark.parametrize("place", ["reason", "error", "gate", "name"])
def test_nothing_of_a_model_reaches_the_terminal_or_the_log_as_a_command(place: str) -> None:
    hostile = sample(0)
    case = Case(id="t.py::test_a", run_id="r", task="greet", samples=[hostile])
    if place == "reason":
        hostile.trace.scores[0].reason = HOSTILE
    elif place == "error":
        hostile.error = HOSTILE
    elif place == "gate":
        case.gates = [gate(Outcome.FAIL, HOSTILE, case.id)]
    else:
        hostile.trace.scores[0].name = HOSTILE
    text = "\n".join(line.text for line in sample_lines([case]))
    assert "\\x1b[31m" in text
    assert "\x1b" not in text
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
