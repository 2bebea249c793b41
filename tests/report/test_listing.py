from __future__ import annotations

import textwrap
from datetime import UTC, datetime, timedelta
from typing import Any

from pytest_kaizen.models import (
    Attempt,
    Case,
    GateResult,
    Interval,
    Message,
    Outcome,
    Part,
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
from pytest_kaizen.report.listing import run_text, runs_table, trace_text, traces_table

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def same(found: str, expected: str) -> None:
    """Compare two texts but for white space at the ends of lines."""
    lines = [line.rstrip() for line in found.splitlines()]
    assert lines == textwrap.dedent(expected).strip("\n").splitlines()


def part(kind: str, content: str | None = None, **extra: Any) -> Part:
    return Part.model_validate({"type": kind, "content": content, **extra})


def gate(outcome: Outcome, sentence: str, scope: Scope = Scope.CASE) -> GateResult:
    return GateResult(scope=scope, task="sum", name="score", bar=">= 0.8", outcome=outcome, sentence=sentence)


def trace(**fields: Any) -> Trace:
    return Trace(**{"id": "a1b2", "name": "test_a", "created_at": NOW, **fields})


SUMMARY = TaskSummary(
    task="sum",
    cases=1,
    collected=3,
    samples=2,
    score=0.5,
    score_interval=Interval(0.25, 0.75),
    pass_rate=0.5,
    prompts="v2",
    calls=2,
    input_tokens=1_200_000,
    output_tokens=34,
    cost_usd=0.0123,
    latency_p50_ms=120.4,
    latency_p95_ms=800,
    gates=[gate(Outcome.NOT_RUN, "not decided: 1 of 3 cases ran", Scope.TASK)],
)
RUN = Run(
    id="20260301-1230-ab",
    created_at=NOW,
    finished_at=NOW + timedelta(minutes=2),
    status="finished",
    exit_status=1,
    revision="c0ffee0123456789",
    branch="main",
    tasks=[SUMMARY],
    notes=["a rubric was never run"],
)


def test_runs() -> None:
    killed = Run(id="20260301-1229-cd", created_at=NOW - timedelta(minutes=1))
    same(
        runs_table([RUN, killed]),
        """
        run               started              status            revision    tasks and scores      samples     cost  gates
        ----------------  -------------------  ----------------  ----------  ------------------  ---------  -------  ---------
        20260301-1230-ab  2026-03-01 12:30:00  finished, exit 1  c0ffee0123  sum 0.500                   2  $0.0123  1 not run
        20260301-1229-cd  2026-03-01 12:29:00  running                                                   0
        """,  # noqa: E501
    )
    assert runs_table([]) == "no runs yet"


def test_a_run() -> None:
    samples = [
        Sample(trace=trace(), metrics={"score": 1.0}),
        Sample(trace=trace(), metrics={"score": 0.0}),
        Sample(trace=trace(), missing={"score": "the judge timed out"}),
    ]
    cases = [
        Case(
            id="test_a",
            run_id="r",
            task="sum",
            outcome="failed",
            samples=samples,
            gates=[gate(Outcome.PASS, "well"), gate(Outcome.FAIL, "score 0.5 is below 0.8")],
        ),
        Case(id="test_b", run_id="r", task="sum", complete=False),
    ]
    same(
        run_text(RUN, cases),
        """
        run       20260301-1230-ab
        started   2026-03-01 12:30:00
        finished  2026-03-01 12:32:00
        status    finished, exit 1
        revision  c0ffee0123456789
        branch    main

        task    cases      samples  score                   passed  prompt      calls  tokens                 cost     p50     p95  gates
        ------  -------  ---------  --------------------  --------  --------  -------  ------------------  -------  ------  ------  ---------
        sum     1 of 3           2  0.500 [0.250, 0.750]       50%  v2              2  1200000 in, 34 out  $0.0123  120 ms  800 ms  1 not run

        case    outcome       samples    score  gates
        ------  ----------  ---------  -------  --------------
        test_a  failed              3    0.500  1 pass, 1 fail
        test_b  incomplete          0

        not run: not decided: 1 of 3 cases ran
        fail: score 0.5 is below 0.8

        a rubric was never run
        """,  # noqa: E501
    )


SPANS = [
    Span(id="root", name="answer", kind=SpanKind.CHAIN, started_at=NOW),
    Span(
        id="call",
        parent_id="root",
        name="chat claude-haiku-4-5",
        model="claude-haiku-4-5",
        provider="anthropic",
        started_at=NOW,
        latency_ms=812.4,
        cost_usd=0.0002,
        usage=Usage(input_tokens=1_234_567, output_tokens=8),
        attempts=[Attempt(started_at=NOW, latency_ms=1, status=429), Attempt(started_at=NOW, latency_ms=2)],
        replayed=True,
        input=[
            Message(role="system", parts=[part("text", "Be brief.")]),
            Message(
                role="user",
                parts=[
                    part("text", "Sum up.\nNow."),
                    part("blob", mime_type="image/png", sha256="ab", size=9),
                ],
            ),
            Message(role="tool", parts=[part("tool_call_response", id="t1", response={"ok": True})]),
        ],
        output=[
            Message(
                role="assistant",
                parts=[
                    part("reasoning", "hm"),
                    part("tool_call", id="t2", name="search", arguments={"q": "é"}),
                    part("uri", uri="https://example.org/a.png"),
                ],
                finish_reason="tool_use",
            )
        ],
    ),
    Span(id="judge", name="judge", model="m", kind=SpanKind.JUDGE, started_at=NOW, error="429", cost_usd=0.5),
]


def test_a_trace() -> None:
    scores = [
        Score(name="polite", value=1, source=ScoreSource.CHECK, reason="says please"),
        Score(name="summary.faithful", value=0.2, source=ScoreSource.JUDGE, rubric="summary"),
        Score(name="summary", error="no answer", source=ScoreSource.JUDGE, rubric="summary"),
    ]
    shown = trace(
        run_id="r",
        task="sum",
        case_id="test_a",
        input={"ticket": 3},
        output="Done.",
        scores=scores,
        spans=SPANS,
    )
    same(
        trace_text(shown),
        """
        trace    a1b2
        name     test_a
        run      r
        task     sum
        case     test_a
        sample   0
        created  2026-03-01 12:30:00

        input
            {"ticket": 3}

        output
            Done.

        score             value    source    reason
        ----------------  -------  --------  -----------
        polite            1.00     check     says please
        summary.faithful  0.20     judge
        summary           error    judge     no answer

        CHAIN answer

            LLM chat claude-haiku-4-5 · anthropic · 812 ms · 1234567 in, 8 out · $0.0002 · 2 attempts · replayed
                system:
                    Be brief.
                user:
                    Sum up.
                    Now.
                    [image/png, 9 bytes]
                tool:
                    tool result {"ok": true}
                assistant:
                    [reasoning] hm
                    tool call search({"q": "é"})
                    [uri] {"uri": "https://example.org/a.png"}
                    (tool_use)

        JUDGE judge · m · $0.5000
            error: 429
        """,  # noqa: E501
    )
    same(
        traces_table([shown, trace(id="c3d4", error="ValueError: no")]),
        """
        trace    created              task    case      sample    calls  tokens                cost    latency  scores                      error
        -------  -------------------  ------  ------  --------  -------  -----------------  -------  ---------  --------------------------  --------------
        a1b2     2026-03-01 12:30:00  sum     test_a         0        1  1234567 in, 8 out  $0.0002     812 ms  polite 1.00, summary error
        c3d4     2026-03-01 12:30:00                         0        0                                                                     ValueError: no
        """,  # noqa: E501
    )
    assert traces_table([]) == "no traces"


def test_unknown_tokens_are_left_out() -> None:
    span = Span(id="s", name="chat", started_at=NOW, usage=Usage(input_tokens=7))
    assert "chat · 7 in\n" in trace_text(trace(spans=[span])) + "\n"


def test_text_of_models_can_do_nothing() -> None:
    evil = "\x1b[2Jcleared\n::error::fake\r##[group]"
    message = Message(role="user", parts=[part("text", evil)])
    score = Score(name="a", value=0, source=ScoreSource.JUDGE, reason=evil)
    shown = trace(
        output=evil,
        error=evil,
        scores=[score],
        spans=[Span(id="s", name=evil, started_at=NOW, output=[message])],
    )
    run = Run(id="r", created_at=NOW, notes=[evil])
    case = Case(id=evil, run_id="r", task="sum", gates=[gate(Outcome.FAIL, evil)])
    for text in (trace_text(shown), traces_table([shown]), run_text(run, [case]), runs_table([run])):
        assert "\x1b" not in text
        assert "\r" not in text
        assert "##[" not in text
        assert [line for line in text.splitlines() if line.strip().startswith("::")] == []
    assert r"\x1b[2Jcleared" in trace_text(shown)


def test_a_loop_of_parents_does_no_harm() -> None:
    spans = [
        Span(id="a", parent_id="b", name="a", started_at=NOW),
        Span(id="b", parent_id="a", name="b", started_at=NOW),
    ]
    assert trace_text(trace(spans=spans)).endswith("LLM a\n\n    LLM b")
