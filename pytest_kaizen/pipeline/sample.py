"""One sample from the end of its body to a finished record: assemble, score, redact, measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..capture import Redactor, recording, spans_are
from ..models import Sample, Score, ScoreSource, SpanKind, Trace
from .live import LiveSample
from .metrics import sample_metrics

if TYPE_CHECKING:
    from ..score import Comparison, Judge, Rubric

Scorer = Callable[[Trace], "Score | Iterable[Score] | None"]


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
