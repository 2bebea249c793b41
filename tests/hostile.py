"""Values with hostile text in every field."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_kaizen.models import (
    Attempt,
    Case,
    Fall,
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
    TaskChanges,
    TaskSummary,
    Trace,
)

AT = datetime(2026, 1, 2, tzinfo=UTC)
SCRIPT = "document.documentElement.className='TAKEN'"
ATTACK = f'<img src=x onerror="{SCRIPT}">'
HOSTILE = f"</script><script>{SCRIPT}</script>{ATTACK}<!--\"'\x1b[31m\u202e&lt;{{{{"
HUGE = "x" * 60_000


def hostile_span(**more: object) -> Span:
    parts = [
        Part(type="text", content=HOSTILE),
        Part(type="reasoning", content=HOSTILE),
        Part.model_validate({"type": "tool_call", "name": HOSTILE, "arguments": {HOSTILE: HOSTILE}}),
        Part.model_validate({"type": "tool_call_response", "response": HOSTILE}),
        Part.model_validate({"type": HOSTILE, "uri": HOSTILE}),
    ]
    message = Message(role=HOSTILE, parts=parts, finish_reason=HOSTILE)
    attempts = [Attempt(started_at=AT, error=HOSTILE), Attempt(started_at=AT, status=200)]
    values = {
        "id": HOSTILE,
        "name": HOSTILE,
        "provider": HOSTILE,
        "model": HOSTILE,
        "input": [message],
        "output": [message],
        "started_at": AT,
        "latency_ms": 5.0,
        "attempts": attempts,
        "error": HOSTILE,
        "metadata": {HOSTILE: [HOSTILE, HUGE]},
    }
    return Span.model_validate(values | more)


def hostile_run() -> tuple[Run, list[Case]]:
    """Make a run with hostile text in every field, and its cases."""
    gate = GateResult(
        scope=Scope.TASK,
        task=HOSTILE,
        case_id=HOSTILE,
        name=HOSTILE,
        figure=0.5,
        interval=Interval(0.25, 0.75),
        bar=">= 0.80",
        outcome=Outcome.FAIL,
        sentence=HOSTILE,
        origin=HOSTILE,
    )
    fall = Fall(name=HOSTILE, before=0.9, now=0.1)
    changes = TaskChanges(
        since=HOSTILE,
        paired=1,
        score=fall,
        cases=[fall],
        criteria=[fall],
        facts=[(HOSTILE, HOSTILE, HOSTILE)],
        prompt_diff=[f"+{HOSTILE}", f"-{HOSTILE}"],
        new=[HOSTILE],
        removed=[HOSTILE],
    )
    task = TaskSummary(
        task=HOSTILE,
        cases=1,
        collected=2,
        samples=2,
        score=0.5,
        prompts=HOSTILE,
        gates=[gate],
        partial=HOSTILE,
        changes=changes,
    )
    run = Run(
        id=HOSTILE,
        created_at=AT,
        status=HOSTILE,
        revision=HOSTILE,
        branch=HOSTILE,
        config={HOSTILE: HOSTILE},
        tasks=[task, task.model_copy(update={"task": HUGE})],
        notes=[HOSTILE, HUGE],
    )
    trace = Trace(
        id=HOSTILE,
        name=HOSTILE,
        created_at=AT,
        input={HOSTILE: HOSTILE},
        output=HOSTILE,
        reference=HUGE,
        error=HOSTILE,
        metadata={HOSTILE: HOSTILE},
        scores=[
            Score(name=HOSTILE, value=0.5, source=ScoreSource.JUDGE, reason=HOSTILE),
            Score(name=HUGE, source=ScoreSource.CHECK, error=HOSTILE),
        ],
        spans=[hostile_span(), hostile_span(id="child", parent_id=HOSTILE), hostile_span(parent_id=HOSTILE)],
    )
    sample = Sample(
        trace=trace,
        passed=False,
        error=HOSTILE,
        metrics={HOSTILE: 0.5, "score": 0.5, "cost_usd": 0.25, "latency_ms": 5.0},
        missing={HOSTILE: HOSTILE},
        prompts={HOSTILE: (1, HOSTILE)},
    )
    case = Case(
        id=HOSTILE, run_id=HOSTILE, task=HOSTILE, outcome=HOSTILE, samples=[sample, sample], gates=[gate]
    )
    huge = Case(id=HUGE, run_id=HOSTILE, task=HUGE)
    return run, [case, huge]
