"""A sample under way: what the test has said about it so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..capture import Recorder, recording
from ..models import Score, Span, SpanKind, Trace, new_trace_id
from .plan import NO_TASK, CasePlan

_current: ContextVar[LiveSample | None] = ContextVar("kaizen_sample", default=None)


@dataclass
class Content:
    """What a rubric is to judge, as ``kaizen.case(...)`` gave it."""

    input: Any = None
    output: Any = None
    reference: Any = None


@dataclass
class LiveSample:
    """One execution of a case's body, while it runs.

    Attributes:
        judged: The rubrics by which the output was judged already: name → sha256.
        failed_checks: Names of the checks that did not hold.
        prompts: The versions fetched: task → (version, sha256).
        has_ended: Its body has, so that what is still said about it would count for nothing.
    """

    plan: CasePlan
    run_id: str
    number: int = 0
    recorder: Recorder = field(default_factory=Recorder)
    trace_id: str = field(default_factory=new_trace_id)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    content: Content = field(default_factory=Content)
    scores: list[Score] = field(default_factory=list)
    judged: dict[str, str] = field(default_factory=dict)
    failed_checks: list[str] = field(default_factory=list)
    prompts: dict[str, tuple[int, str]] = field(default_factory=dict)
    has_ended: bool = False

    def trace(self, spans: list[Span] | None = None, *, error: str | None = None) -> Trace:
        """Make the trace of what is known by now.

        Args:
            spans: The spans to put in it; those ended so far by default.
            error: The exception that ended the body.
        """
        spans = self.recorder.spans if spans is None else spans
        content = self.complete_content(spans)
        return Trace(
            id=self.trace_id,
            run_id=self.run_id,
            task=self.plan.task if self.plan.task != NO_TASK else None,
            case_id=self.plan.case_id,
            sample=self.number,
            name=self.plan.name,
            created_at=self.created_at,
            input=content.input,
            output=content.output,
            reference=content.reference,
            error=error,
            metadata={"prompts": {task: {"version": v, "sha256": s} for task, (v, s) in self.prompts.items()}}
            if self.prompts
            else {},
            scores=list(self.scores),
            spans=spans,
        )

    def complete_content(self, spans: list[Span]) -> Content:
        """Fill what the test did not say with the last LLM call's input and text."""
        last, given = content_of(spans), self.content
        return Content(
            input=last.input if given.input is None else given.input,
            output=last.output if given.output is None else given.output,
            reference=given.reference,
        )


def content_of(spans: Sequence[Span]) -> Content:
    """Return the last LLM call's input and text; nothing where there is no such call."""
    last = next((span for span in reversed(spans) if span.kind is SpanKind.LLM), None)
    return Content() if last is None else Content(input=_conversation(last), output=_answer(last))


def _conversation(span: Span) -> str | None:
    messages = [(message.role, text) for message in span.input if (text := message.text)]
    if len(messages) == 1:
        return messages[0][1]
    return "\n\n".join(f"[{role}]\n{text}" for role, text in messages) or None


def _answer(span: Span) -> str | None:
    # A call that failed has no answer; an answer without text (a tool call) is an empty one.
    return span.text if span.output else None


@contextmanager
def current(sample: LiveSample) -> Iterator[LiveSample]:
    """Make a sample the current one in this context: LLM calls and scores in it belong to it."""
    token = _current.set(sample)
    try:
        with recording(sample.recorder):
            yield sample
    finally:
        _current.reset(token)


def current_sample() -> LiveSample | None:
    """Return the sample that runs in this context."""
    return _current.get()
