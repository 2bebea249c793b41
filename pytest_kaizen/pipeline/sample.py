"""One sample: what the test says about it while it is under way, and its finished record.

From the end of its body to the record, it is assembled, scored, redacted and measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..capture import Recorder, Redactor, recording, spans_are
from ..models import Sample, Score, ScoreSource, Span, SpanKind, Trace, new_trace_id
from .plan import NO_TASK, CasePlan
from .tally import sample_metrics

if TYPE_CHECKING:
    from ..score import Comparison, Judge, Rubric


_current: ContextVar[LiveSample | None] = ContextVar("kaizen_sample", default=None)

Scorer = Callable[[Trace], "Score | Iterable[Score] | None"]


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


class _Current(AbstractContextManager[LiveSample]):
    """Makes a sample the current one for the length of a block; a generator would take twice as long."""

    __slots__ = ("_recording", "_sample", "_token")

    def __init__(self, sample: LiveSample) -> None:
        self._sample = sample
        self._recording = recording(sample.recorder)

    def __enter__(self) -> LiveSample:
        self._token = _current.set(self._sample)
        self._recording.__enter__()
        return self._sample

    def __exit__(self, *exc_info: object) -> None:
        self._recording.__exit__(None, None, None)
        _current.reset(self._token)


def current(sample: LiveSample) -> AbstractContextManager[LiveSample]:
    """Make a sample the current one in this context: LLM calls and scores in it belong to it."""
    return _Current(sample)


def current_sample() -> LiveSample | None:
    """Return the sample that runs in this context."""
    return _current.get()


@dataclass(frozen=True)
class Scoring:
    """What every sample is put through.

    Attributes:
        judge: Makes the judge when a criterion first needs one, so that a suite without judged
            criteria needs neither a key nor the SDK.
        scorers: Further scorers (the hook ``pytest_kaizen_scorers``), called for every case.
    """

    redactor: Redactor
    judge: Callable[[], Judge]
    scorers: list[Scorer] = field(default_factory=list)

    def rubric(
        self,
        live: LiveSample,
        rubric: Rubric,
        input: Any,  # noqa: A002
        output: Any,
        reference: Any,
    ) -> list[Score]:
        """Score an output by a rubric; what the judge asks a model is recorded as JUDGE spans."""
        # Not above: a suite without rubrics need not wait for it.
        from ..score import score_rubric

        live.judged[rubric.name] = rubric.sha256
        # A judge quotes what it read, and its answers are kept: they must not hold a secret either.
        self.redactor.learn(*live.recorder.secrets)
        with recording(live.recorder), spans_are(SpanKind.JUDGE):
            return score_rubric(
                rubric,
                input=input,
                output=output,
                reference=reference,
                judge=self.judge() if rubric.judged and output is not None else None,
                sample=live.number,
            )

    def compare(
        self,
        live: LiveSample,
        rubric: Rubric,
        a: Any,
        b: Any,
        input: Any,  # noqa: A002
        reference: Any,
    ) -> Comparison:
        """Compare two outputs by a rubric; what the judge asks a model is recorded as JUDGE spans.

        Raises:
            ScoreError: The judge failed.
        """
        from ..score import compare_outputs

        self.redactor.learn(*live.recorder.secrets)
        with recording(live.recorder), spans_are(SpanKind.JUDGE):
            return compare_outputs(
                self.judge(), rubric, a, b, input=input, reference=reference, sample=live.number
            )

    def finish(self, live: LiveSample, error: str | None, *, score: bool = True) -> Sample:
        """Make the record of a sample whose body has ended.

        Args:
            live: The sample.
            error: The exception that the body ended with, as one line.
            score: False for a sample that was skipped or interrupted: it is kept, not judged.
        """
        spans = live.recorder.close()
        unjudged = [rubric for rubric in live.plan.rubrics if rubric.name not in live.judged]
        if score and unjudged:
            content = live.complete_content(spans)
            for rubric in unjudged:
                live.scores += self.rubric(live, rubric, content.input, content.output, content.reference)
            # What the judge asked a model is among them now.
            spans = live.recorder.close()
        trace = live.trace(spans, error=error)
        if score and live.plan.asked:
            trace.scores += self._further_scores(trace)
        self.redactor.learn(*live.recorder.secrets)
        trace = self.redactor.trace(trace)
        passed = self._passed(live, error) if score else None
        values, missing = sample_metrics(trace, passed)
        return Sample(
            trace=trace,
            passed=passed,
            error=trace.error,
            metrics=values,
            missing=missing,
            prompts=dict(live.prompts),
            rubrics=dict(live.judged),
        )

    def _further_scores(self, trace: Trace) -> list[Score]:
        scores: list[Score] = []
        for scorer in self.scorers:
            name = getattr(scorer, "__name__", type(scorer).__name__)
            try:
                scores += _scores_in(scorer(trace))
            except Exception as exc:
                # A scorer that breaks is a missing score, not a broken test.
                reason = f"{type(exc).__name__}: {exc}"
                scores.append(Score(name=name, source=ScoreSource.SDK, error=reason))
        return scores

    def _passed(self, live: LiveSample, error: str | None) -> bool | None:
        if error is not None or live.failed_checks:
            return False
        broken = any(score.error and score.source is ScoreSource.CHECK for score in live.scores)
        return None if broken else True


def _scores_in(given: Any) -> list[Score]:
    """Read what a scorer of somebody else's returned."""
    scores = [given] if isinstance(given, Score) else [] if given is None else given
    scores = list(scores) if isinstance(scores, Iterable) else [scores]
    wrong = next((score for score in scores if not isinstance(score, Score)), None)
    if wrong is not None:
        raise TypeError(f"expected a Score, several or None (found {wrong!r})")
    return scores
