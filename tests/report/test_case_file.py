"""A case as a Markdown file: what it says, what it leaves out, and hostile text in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from pytest_kaizen.models import (
    Case,
    GateResult,
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
    Trace,
)
from pytest_kaizen.report.documents import case_markdown

NOW = datetime(2026, 3, 30, tzinfo=UTC)
RUN = Run(id="run-1", created_at=NOW, branch="main", revision="0123456789abcdef")
LIMIT = 100_000


def said(role: str, text: str, finish_reason: str | None = None) -> Message:
    return Message(role=role, parts=[Part(type="text", content=text)], finish_reason=finish_reason)


def call(arguments: dict[str, object]) -> Message:
    part = Part.model_validate({"type": "tool_call", "name": "look", "arguments": arguments})
    return Message(role="assistant", parts=[part], finish_reason="tool_calls")


def chat(number: int, sent: list[Message], back: Message) -> Span:
    return Span(id=f"s-{number}", name="chat m-1", model="m-1", input=sent, output=[back], started_at=NOW)


def a_case(*samples: Sample) -> Case:
    gate = GateResult(
        scope=Scope.CASE,
        task="support",
        name="polite",
        bar=">= 0.8",
        outcome=Outcome.FAIL,
        sentence="polite is 0.50, below 0.8",
    )
    return Case(
        id="tests/test_x.py::test_y",
        run_id="run-1",
        task="support",
        outcome="failed",
        samples=list(samples),
        gates=[gate],
    )


def sample(**fields: object) -> Sample:
    trace = Trace.model_validate({"id": "t-1", "name": "test_y", "created_at": NOW, **fields})
    return Sample(trace=trace, passed=False, error="AssertionError: rude", prompts={"support": (3, "ab")})


def test_a_whole_file() -> None:
    first = [said("system", "Be kind."), said("user", "Where is it?")]
    asked = call({"id": 7})
    again = asked.model_copy(update={"finish_reason": None})
    response = Part.model_validate({"type": "tool_call_response", "id": "c", "response": {"at": "home"}})
    result = Message(role="tool", parts=[response])
    one = sample(
        input={"ticket": 7},
        output="At home.",
        reference="At home, sorry.",
        scores=[
            Score(name="polite", value=0.5, source=ScoreSource.JUDGE, reason="curt"),
            Score(name="names it", error="no answer", source=ScoreSource.CHECK),
        ],
        spans=[
            chat(1, first, asked),
            Span(id="j", name="judge", kind=SpanKind.JUDGE, started_at=NOW),
            chat(2, [*first, again, result], said("assistant", "At home.", "stop")),
            chat(3, [said("user", "Bye")], said("assistant", "Bye")).model_copy(
                update={"error": "cut short"}
            ),
        ],
    )
    expected = """\
# `tests/test_x.py::test_y`

- task: `support`
- outcome: `failed`
- prompt: `support v3`
- branch: `main`
- revision: `0123456789abcdef`
- run: `run-1`

## Gates

FENCE
fail: polite is 0.50, below 0.8
FENCE

## Sample 1 of 1: failed

- trace: `t-1`

### Error

FENCE
AssertionError: rude
FENCE

### Scores

FENCE
polite: 0.50 (judge): curt
names it: no score (check): no answer
FENCE

### Input

FENCE
{"ticket": 7}
FENCE

### Output

FENCE
At home.
FENCE

### Reference

FENCE
At home, sorry.
FENCE

### Step 1: `LLM chat m-1`

`system`

FENCE
Be kind.
FENCE

`user`

FENCE
Where is it?
FENCE

`assistant`

FENCE
tool call look({"id": 7})
FENCE

### Step 2: `LLM chat m-1`

After the 3 messages so far:

`tool`

FENCE
tool result {"at": "home"}
FENCE

`assistant`

FENCE
At home.
FENCE

### Step 3: `LLM chat m-1`

FENCE
error: cut short
FENCE

`user`

FENCE
Bye
FENCE

`assistant`

FENCE
Bye
FENCE
"""
    text = case_markdown(a_case(one), RUN, LIMIT)
    assert text.replace("```text", "FENCE").replace("```", "FENCE") == expected


def test_hostile_text_stays_within_its_fence() -> None:
    attack = "```\n# Owned\n@everyone <script>\x1b[2J\n````\n::error::pwned"
    case = a_case(
        sample(
            input=attack,
            output=attack,
            scores=[Score(name="`x`", value=0, source=ScoreSource.JUDGE, reason=attack)],
        )
    )
    hostile = case.model_copy(update={"id": "test_x[`\n# Owned`]"})
    text = case_markdown(hostile, RUN, LIMIT)
    outside: list[str] = []
    closing = ""
    for line in text.splitlines():
        fence = re.match("`{3,}", line)
        if closing:
            closing = "" if line == closing else closing
        elif fence:
            closing = fence[0]
        else:
            outside.append(line)
    assert closing == ""
    assert [line for line in outside if re.search("Owned|everyone|script", line)] == [
        "# ``test_x[` # Owned`]``"
    ]
    assert "\x1b" not in text
    assert "::error" not in [line[:7] for line in text.splitlines()]


def test_samples_beyond_the_limit_are_left_out() -> None:
    text = case_markdown(a_case(*[sample(input="x" * 1000)] * 5), RUN, 3500)
    assert text.count("## Sample") == 2
    assert text.endswith("3 more samples, left out for their length.\n")
    assert len(text) < 3600


def test_a_first_sample_beyond_the_limit_is_cut() -> None:
    text = case_markdown(a_case(*[sample(input="x" * 9000)] * 2), RUN, 2000)
    assert 1900 < len(text) < 2300
    assert "characters in all)" in text
    assert text.endswith("1 more samples, left out for their length.\n")
