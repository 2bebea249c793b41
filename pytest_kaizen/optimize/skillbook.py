"""The lessons of a search: merged, tested, and those that are not to be proposed again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from ..models import Insight, InsightStatus
from .questions import Questions
from .reflector import Failure, Lesson, RelateRequest

#: What a rule must add to its criterion, on the cases it was drawn from, to be worth a line.
_WORTH = 0.25
#: A rule is doubted by as much, until it was tested or came up on several cases.
_DOUBT = 0.4
_PER_CASE, _MOST_CASES = 0.3, 4
#: Below this a rule is not proposed again.
_HOPELESS = -1.0


class Skillbook:
    """All insights of a task that a search knows.

    Lessons that say the same become one insight with more votes and evidence. Which do is a
    judge's answer, never a distance between embeddings: "round up" and "never round up" are near.

    Args:
        questions: Asks the judge.
        known: The task's insights so far.

    Attributes:
        cases: The ids of the cases that each insight was drawn from in this search, by its id.
    """

    def __init__(self, questions: Questions, known: Iterable[Insight] = ()) -> None:
        self.cases: dict[str, list[str]] = {}
        self._questions = questions
        self._task = questions.task
        self._insights = {insight.id: insight for insight in known}
        # Every wording that was met, so that the judge is asked about each once.
        self._ids = {insight.text: insight.id for insight in known}
        self._tests: dict[str, list[float]] = {}

    def __getitem__(self, insight_id: str) -> Insight:
        return self._insights[insight_id]

    def __contains__(self, insight_id: str) -> bool:
        return insight_id in self._insights

    @property
    def noted(self) -> tuple[str, ...]:
        """The texts that are known and not rejected."""
        return tuple(i.text for i in self._insights.values() if i.status is not InsightStatus.REJECTED)

    @property
    def rejected(self) -> tuple[str, ...]:
        """The texts that are not to be proposed again."""
        return tuple(i.text for i in self._insights.values() if i.status is InsightStatus.REJECTED)

    def find(self, text: str) -> Insight | None:
        """Return the insight that a wording stands for; None when it was not met."""
        return self._insights.get(self._ids.get(text, ""))

    def merge(
        self, lessons: Sequence[Lesson], failures: Sequence[Failure]
    ) -> tuple[list[Insight], dict[str, list[str]]]:
        """Take lessons in.

        Args:
            lessons: What one reflection proposed.
            failures: What it was shown; evidence that it was not shown is none.

        Returns:
            The insights that they are, each once, rejected ones left out; and for each of them the
            lines that it is to replace or that it contradicts, by id.

        Raises:
            BudgetExceeded: The judge may not be asked.
            LLMError: The judge failed.
        """
        drafts = [self._draft(lesson, failures) for lesson in lessons if lesson.rule.strip()]
        same, against = self._relations([draft.text for draft, _, _ in drafts])
        touched: dict[str, None] = {}
        clashes: dict[str, list[str]] = {}
        for draft, cases, targets in drafts:
            # What a new rule is compared with comes earlier, so that this ends.
            text = draft.text
            while text in same and text not in self._ids:
                text = same[text]
            known = self._insights.get(self._ids.get(text, draft.id))
            merged = draft if known is None else _joined(known, draft)
            self._insights[merged.id] = merged
            self._ids[draft.text] = merged.id
            if merged.status is not InsightStatus.REJECTED:
                evidence = self.cases.setdefault(merged.id, [])
                evidence += [case for case in cases if case not in evidence]
                touched[merged.id] = None
                replaced = against.get(draft.text, [])
                clashes.setdefault(merged.id, []).extend([*targets, *replaced])
        return [self._insights[insight] for insight in touched], clashes

    def test(self, insight_id: str, difference: float) -> None:
        """Take in what a rollout gained on the insight's criterion by having it, in [-1, 1]."""
        known = self._insights[insight_id]
        self._tests.setdefault(insight_id, []).append(difference)
        better = difference > 0
        update: dict[str, object] = {
            "helpful": known.helpful + better,
            "harmful": known.harmful + (not better),
        }
        self._insights[insight_id] = known.model_copy(update=update)
        if self.balance(insight_id) < _HOPELESS:
            self.reject(insight_id)

    def tests(self, insight_id: str) -> int:
        """Return how often an insight was tested in this search."""
        return len(self._tests.get(insight_id, ()))

    def balance(self, insight_id: str) -> float:
        """Weigh the evidence on an insight: above 0, it is worth its line in the prompt.

        A rule that was drawn from several cases is believed sooner than one that was drawn from one.
        What a person accepted is believed until the tests speak against it.
        """
        tests = sum(difference - _WORTH for difference in self._tests.get(insight_id, ()))
        if self._insights[insight_id].status is InsightStatus.ACCEPTED:
            return tests + _WORTH
        cases = min(len(self.cases.get(insight_id, ())), _MOST_CASES)
        return tests + _PER_CASE * (cases - 1) - _DOUBT

    def reject(self, insight_id: str) -> None:
        """See to it that an insight is not proposed again."""
        update = {"status": InsightStatus.REJECTED}
        self._insights[insight_id] = self._insights[insight_id].model_copy(update=update)

    def _draft(self, lesson: Lesson, failures: Sequence[Failure]) -> tuple[Insight, list[str], list[str]]:
        shown = [failure for failure in failures if failure.case_id in lesson.evidence] or list(failures)
        draft = Insight(
            id="",
            task=self._task,
            section=lesson.section,
            rule=lesson.rule,
            when=lesson.when,
            criterion=lesson.criterion,
            evidence=tuple(failure.trace_id for failure in shown if failure.trace_id is not None),
            justification=lesson.justification,
            confidence=lesson.confidence,
        )
        draft = draft.model_copy(update={"id": insight_id(self._task, draft.text)})
        targets = [lesson.replaces] if lesson.replaces else []
        return draft, [failure.case_id for failure in shown], targets

    def _relations(self, texts: Sequence[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Ask which texts say the same as an earlier one, and which the opposite."""
        known = [insight.text for insight in self._insights.values()]
        new = [text for text in dict.fromkeys(texts) if text not in self._ids]
        others = known + new
        if not new or len(others) < 2:
            return {}, {}
        request = RelateRequest(task=self._task, new=tuple(new), known=tuple(others))
        same: dict[str, str] = {}
        against: dict[str, list[str]] = {}
        for relation in self._questions.relate(request).relations:
            # A model may name places that there are not, and compare a rule with itself or a later one.
            if 0 <= relation.new < len(new) and 0 <= relation.known < len(known) + relation.new:
                text, other = new[relation.new], others[relation.known]
                if relation.kind == "same":
                    same.setdefault(text, other)
                else:
                    against.setdefault(text, []).append(other)
        return same, against


def insight_id(task: str, text: str) -> str:
    """Derive the id of an insight from what it says."""
    return hashlib.sha256(f"{task}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _joined(known: Insight, draft: Insight) -> Insight:
    update: dict[str, object] = {
        "evidence": tuple(dict.fromkeys((*known.evidence, *draft.evidence))),
        "votes": known.votes + 1,
        "confidence": max(known.confidence, draft.confidence),
    }
    return known.model_copy(update=update)
