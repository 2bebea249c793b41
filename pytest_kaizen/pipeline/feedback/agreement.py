"""How far the scores of a rubric agree with the logged ones, measured before a search relies on them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel

from ...llm import LLM
from ...models import AUTO_EVAL, Agreement, FeedbackEntry, Pair
from ...optimize import CappedLLM, Ledger, Meter
from ...optimize.cases import input_text
from ...prices import Prices
from ...score import WHOLE, Judge, Rubric, agreement, score_rubric
from .cases import is_good

#: The newest entries that are scored again.
MOST = 40
_FEWEST = 10
#: Landis and Koch (1977) call less than this fair at best.
_POOR = 0.4
_THREADS = 8


class LoggedAgreement(BaseModel, defer_build=True):
    """A measurement, as the ledger keeps it.

    Attributes:
        pairs: Logged scores and the rubric's, one pair an entry.
        failed: Entries that the rubric gave no score.
    """

    pairs: list[Pair]
    failed: int
    cost_usd: float


class AgreementCheck:
    """Has logged outputs scored by a rubric and compares.

    Args:
        rubric: What scores.
        judge: Makes the judge that asks through a door.
        judged_by: All that a score depends on, as text.
    """

    def __init__(self, rubric: Rubric, judge: Callable[[LLM], Judge], judged_by: str) -> None:
        self._rubric = rubric
        self._judge = judge
        self._judged_by = judged_by

    def notes(
        self, entries: Sequence[FeedbackEntry], llm: LLM, prices: Prices, meter: Meter, ledger: Ledger
    ) -> tuple[str, ...]:
        """Say how far the two agree, and warn where they hardly do or nobody knows.

        Args:
            entries: Feedback of the task, the newest first.
            llm: The door to the judge's model.
            prices: What its calls cost.
            meter: Counts and caps what is spent.
            ledger: Remembers the measurement.
        """
        scored = comparable(entries)[:MOST]
        if not scored:
            return (
                "warning: no logged score to compare the rubric's with, so nobody knows whether it means "
                "what your users mean",
            )
        found = self._measure(scored, entries, CappedLLM(llm, meter, prices, reflects=False), meter, ledger)
        if not found.pairs:
            return (f"warning: none of {len(scored)} logged outputs could be scored again",)
        return agreement_notes(agreement(WHOLE, found.pairs, None), len(found.pairs), found.failed)

    def _measure(
        self,
        scored: Sequence[FeedbackEntry],
        entries: Sequence[FeedbackEntry],
        llm: LLM,
        meter: Meter,
        ledger: Ledger,
    ) -> LoggedAgreement:
        text = "\n".join([self._judged_by, *(f"{e.id} {e.score}" for e in scored)])
        key = f"agreement {hashlib.sha256(text.encode()).hexdigest()}"
        kept = ledger.reflection(key)
        if kept is not None:
            known = LoggedAgreement.model_validate(kept)
            meter.count_reflection(key, 0, known.cost_usd)
            return known
        judge, before = self._judge(llm), meter.used.usd
        pool = ThreadPoolExecutor(_THREADS)
        try:
            found_pairs = pool.map(lambda entry: self._pair(entry, _others(entry, entries), judge), scored)
            pairs = [pair for pair in found_pairs if pair is not None]
        finally:
            # Whoever breaks it off does not wait for, or pay for, what has not begun.
            pool.shutdown(cancel_futures=True)
        spent = meter.used.usd - before
        found = LoggedAgreement(pairs=pairs, failed=len(scored) - len(pairs), cost_usd=spent)
        if pairs:
            ledger.save_reflection(key, found.model_dump(mode="json"))
        # Its calls were paid for one by one as they were made.
        meter.count_reflection(key, 0, 0.0)
        return found

    def _pair(self, entry: FeedbackEntry, reference: str | None, judge: Judge) -> Pair | None:
        scores = score_rubric(
            self._rubric, input=entry.inputs, output=entry.output, reference=reference, judge=judge
        )
        value = scores[-1].value
        return None if value is None or entry.score is None else (entry.score, value)


def comparable(entries: Sequence[FeedbackEntry]) -> list[FeedbackEntry]:
    """Return the entries with an output that somebody other than a judge gave a score."""
    return [
        entry
        for entry in entries
        if entry.output is not None and entry.score is not None and entry.source != AUTO_EVAL
    ]


def agreement_notes(found: Agreement, entries: int, failed: int) -> tuple[str, ...]:
    """Put an agreement into words, with its intervals."""
    low, high = found.accuracy_interval
    bias_low, bias_high = found.bias_interval
    lost = f" ({failed} more could not be scored)" if failed else ""
    said = (
        f"the rubric and {entries} logged score{'s' * (entries != 1)}{lost}: accuracy {found.accuracy:.2f} "
        f"[{low:.2f}, {high:.2f}], {found.kappa_text}, "
        f"bias {found.bias:+.2f} [{bias_low:+.2f}, {bias_high:+.2f}]"
    )
    if found.kappa is not None and found.kappa < _POOR:
        return (
            said,
            "warning: they agree poorly, so a prompt that the rubric finds better may please nobody; "
            "word the criteria after what your users score",
        )
    if entries < _FEWEST:
        return (
            said,
            f"warning: too few logged scores ({entries}) to tell how far the rubric is to be trusted",
        )
    return (said,)


def _others(entry: FeedbackEntry, entries: Sequence[FeedbackEntry]) -> str | None:
    """Return a good answer to the same input that is not the very output which is to be scored."""
    if entry.inputs is None:
        return None
    same = input_text(entry.inputs)
    return next(
        (
            other.output
            for other in entries
            if other.id != entry.id
            and is_good(other)
            and other.inputs is not None
            and input_text(other.inputs) == same
        ),
        None,
    )
