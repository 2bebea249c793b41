"""The judge of a run and how far it is to be trusted: its stored answers, its calibration, odd replies.

What judges (``score``) is loaded where it is used: a suite without a judge need not wait for it.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..capture import Redactor, current_recorder
from ..config import JudgeConfig
from ..errors import ScoreError, StoreError
from ..llm import BASE_URL_VARIABLE
from ..models import Agreement, AnswerKey, Calibration, Case, Pair, Sample, Score, ScoreSource
from ..report.text import safe_text
from ..store import Store

if TYPE_CHECKING:
    from ..score import Judge, Labelled, Rubric

#: Outputs judged at the same time.
_THREADS = 8

#: Cases whose replies are compared; more would say the same.
_COMPARED_CASES = 500


class StoredAnswers:
    """Keeps a judge's answers. A store that fails costs a call, never a score.

    Args:
        store: Where they are kept.
        redactor: Takes secrets out of them; a judge quotes what it read.
    """

    def __init__(self, store: Store, redactor: Redactor) -> None:
        self._store = store
        self._redactor = redactor

    def get(self, key: AnswerKey) -> Any:
        """Return an answer; None when there is none, it cannot be read, or a cassette is to give it."""
        recorder = current_recorder()
        if recorder is not None and recorder.tape is not None:
            # Where calls are recorded, the judge's are too: others have the cassette, not the store.
            return None
        try:
            return self._store.answer(_with_server(key))
        except StoreError:
            return None

    def put(self, key: AnswerKey, answer: Any) -> None:
        """Keep an answer, if the store can."""
        with suppress(StoreError):
            self._store.save_answer(_with_server(key), self._redactor.data(answer))


def _with_server(key: AnswerKey) -> AnswerKey:
    """Tell the models of different servers apart: what a scripted one says is no judgement."""
    server = os.environ.get(BASE_URL_VARIABLE)
    return key._replace(model=f"{key.model} at {server}") if server else key


def calibrate(rubric: Rubric, labelled: Sequence[Labelled], judge: Judge, path: Path) -> Calibration:
    """Measure a judge against labels.

    Args:
        rubric: What is judged by.
        labelled: What people said; at least one.
        judge: The judge.
        path: The file of the labels, for messages.

    Raises:
        ScoreError: The judge or a check failed on an output; names its line.
    """
    pool = ThreadPoolExecutor(_THREADS)
    try:
        scores = list(pool.map(lambda item: _scores(rubric, item, judge, path), labelled))
    finally:
        # After a failure the others would fail too, and cost: what has not begun never does.
        pool.shutdown(cancel_futures=True)
    pairs = [_whole(rubric, item, found) for item, found in zip(labelled, scores, strict=True)]
    return Calibration(
        rubric=rubric.name,
        rubric_sha256=rubric.sha256,
        model=judge.model,
        votes=judge.votes(rubric),
        created_at=datetime.now(UTC),
        labels=len(labelled),
        criteria=_agreements(rubric, labelled, scores, pairs),
        pairs=pairs,
    )


def _scores(rubric: Rubric, item: Labelled, judge: Judge, path: Path) -> dict[str, Score]:
    from ..score import score_rubric

    found = score_rubric(rubric, input=item.input, output=item.output, reference=item.reference, judge=judge)
    failed = next((score for score in found if score.error is not None), None)
    if failed is not None:
        raise ScoreError(
            f"{path}:{item.line}: {failed.name}: {failed.error}; no calibration was stored. Run it again, "
            "or take the line out: answers that were given are kept"
        )
    return {score.name: score for score in found}


def _whole(rubric: Rubric, item: Labelled, scores: dict[str, Score]) -> Pair:
    """Give the whole by the person and by the judge; checks say the same of both."""
    from ..score import WHOLE

    judge = scores[rubric.name].value or 0.0
    if WHOLE in item.values and WHOLE not in {criterion.name for criterion in rubric.judged}:
        return item.values[WHOLE], judge
    parts = [
        criterion.weight * item.values.get(criterion.name, _value(rubric, criterion.name, scores))
        for criterion in rubric.criteria
    ]
    return round(math.fsum(parts), 12), judge


def _agreements(
    rubric: Rubric,
    labelled: Sequence[Labelled],
    scores: Sequence[dict[str, Score]],
    pairs: Sequence[Pair],
) -> list[Agreement]:
    from ..score import WHOLE, agreement

    named = [criterion for criterion in rubric.judged if criterion.name in labelled[0].values]
    if not named:
        return [agreement(WHOLE, pairs, None)]
    return [
        agreement(
            criterion.name,
            [
                (item.values[criterion.name], _value(rubric, criterion.name, found))
                for item, found in zip(labelled, scores, strict=True)
            ],
            criterion.scale,
        )
        for criterion in named
    ]


def _value(rubric: Rubric, criterion: str, scores: dict[str, Score]) -> float:
    return scores[f"{rubric.name}.{criterion}"].value or 0.0


class Calibrations:
    """The stored calibrations, for the judge of this run.

    Args:
        store: Where they are.
        judge: The judge's model and votes.
    """

    def __init__(self, store: Store, judge: JudgeConfig) -> None:
        self._store = store
        self._judge = judge
        self._known: dict[str, list[Calibration]] = {}

    def refusal(self, rubric: Rubric) -> str | None:
        """Say why the judge must not be trusted with a rubric; None when it may be."""
        if rubric.min_kappa is None:
            return None
        from ..score import refusal

        try:
            return refusal(rubric, self._judge.model, self._votes(rubric), self._of(rubric))
        except StoreError as exc:
            return f"the judge's calibration could not be read: {exc}"

    def line(self, rubric: Rubric) -> str | None:
        """Say for the report how far the judge is to be trusted; None when nobody asked or measured."""
        found = self._find(rubric)
        if found is None:
            reason = self.refusal(rubric)
            return None if reason is None else f"rubric {rubric.name}: {reason}"
        weakest = found.weakest
        where = f" on '{weakest.name}'" if len(found.criteria) > 1 else ""
        low = rubric.min_kappa is not None and (weakest.kappa is None or weakest.kappa < rubric.min_kappa)
        demanded = f", below min_kappa {rubric.min_kappa:g}" if low else ""
        return (
            f"rubric {rubric.name}: judge {found.model} {weakest.kappa_text}{where} over "
            f"{found.labels} labels{demanded}"
        )

    def correction(self, rubric: Rubric, means: Sequence[float]) -> str | None:
        """Give the mean of a task corrected for the judge's errors; None without a calibration.

        Args:
            rubric: What was judged by.
            means: The rubric's score of each case.
        """
        found = self._find(rubric)
        if found is None or not means:
            return None
        from ..score import corrected_mean

        mean, interval = corrected_mean(means, found.pairs)
        return (
            f"{rubric.name} {sum(means) / len(means):.2f}, corrected for the judge's errors {mean:.2f} "
            f"[{interval.low:.2f}, {interval.high:.2f}] ({found.labels} labels)"
        )

    def _find(self, rubric: Rubric) -> Calibration | None:
        if not rubric.judged:
            return None
        from ..score import calibration_of

        try:
            return calibration_of(rubric, self._judge.model, self._votes(rubric), self._of(rubric))
        except StoreError:
            return None

    def _votes(self, rubric: Rubric) -> int:
        return rubric.votes or self._judge.votes

    def _of(self, rubric: Rubric) -> list[Calibration]:
        if rubric.name not in self._known:
            self._known[rubric.name] = self._store.calibrations(rubric.name)
        return self._known[rubric.name]


@dataclass
class Replies:
    """What is kept of a task's judged replies: enough to warn, in bounded space.

    Attributes:
        compared: By case, the hash of the input and the first words of its first reply.
        phrases: By case, the words with which a reply addresses the judge.
        judged: Cases that were judged.
    """

    compared: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    phrases: dict[str, str] = field(default_factory=dict)
    judged: set[str] = field(default_factory=set)

    def add(self, case: Case) -> None:
        """Take in a finished case; a rerun of it takes the place of the earlier one."""
        self.compared.pop(case.id, None)
        self.phrases.pop(case.id, None)
        samples = [sample for sample in case.samples if _is_judged(sample)]
        if not samples:
            return
        from ..score import addresses_judge, compared_words

        self.judged.add(case.id)
        phrases = (addresses_judge(sample.trace.output) for sample in samples)
        phrase = next((found for found in phrases if found is not None), None)
        if phrase is not None:
            self.phrases[case.id] = phrase
        if len(self.compared) < _COMPARED_CASES:
            first = samples[0].trace
            digest = hashlib.sha256(repr(first.input).encode("utf-8", "surrogatepass")).hexdigest()
            self.compared[case.id] = (digest, compared_words(first.output))

    def warnings(self, task: str) -> list[str]:
        """Say what is suspicious about the task's replies."""
        if not self.judged:
            return []
        from ..score import same_replies

        lines = []
        same = same_replies(list(self.compared.values()))
        if same is not None:
            lines.append(f"{task}: {same}: look at one; a judge may take such a reply for a good one")
        if self.phrases:
            case, phrase = next(iter(self.phrases.items()))
            lines.append(
                f"{task}: replies of {len(self.phrases)} of {len(self.judged)} judged cases address the "
                f"judge, the first in {case} ({phrase[:80]!r}): read them before you trust their scores"
            )
        # Phrases are a model's words.
        return [safe_text(line) for line in lines]


def _is_judged(sample: Sample) -> bool:
    trace = sample.trace
    return trace.output is not None and any(score.source is ScoreSource.JUDGE for score in trace.scores)
