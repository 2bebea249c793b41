"""Rules of a prompt: lessons merged and tested, the small edits that they make, and which lines help."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..models import Insight, InsightStatus
from ..prompts.files import variables_in
from .search import Failure, Lesson, RelateRequest
from .workbench import Questions

#: The line that stands above added rules.
HEADER = "Follow these rules:"

#: Standard deviations on the scale of scores: of a rollout, of the cases' means, of the lines' effects.
_NOISE, _BETWEEN_CASES, _OF_LINES = 0.2, 0.1, 0.1

#: What a rule must add to its criterion, on the cases it was drawn from, to be worth a line.
_WORTH = 0.25
#: A rule is doubted by as much, until it was tested or came up on several cases.
_DOUBT = 0.4
_PER_CASE, _MOST_CASES = 0.3, 4
#: Below this a rule is not proposed again.
_HOPELESS = -1.0


@dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes:
        rule: The rule to add or to put in the place of ``target``.
        target: The line to change or drop, without a bullet.
    """

    kind: Literal["add", "change", "drop"]
    rule: str = ""
    target: str = ""


def apply_edits(prompt: str, edits: Sequence[Edit]) -> str:
    """Apply edits one after the other.

    A rule is added once, at the end of the list under ``HEADER``, which is made when it is not there.
    An edit whose target is not a line of the prompt is left out, and so is one that would take a
    variable out of the prompt or bring one in: the tests fill in those they know.

    Args:
        prompt: The text.
        edits: The edits.
    """
    for edit in edits:
        edited = _apply(prompt, edit)
        if set(variables_in(edited)) == set(variables_in(prompt)):
            prompt = edited
    return prompt


def has_line(prompt: str, text: str) -> bool:
    """Return whether a line of the prompt is this text, bullets and spaces aside."""
    return _find(prompt.split("\n"), text) is not None


def bare_lines(prompt: str) -> frozenset[str]:
    """Return the lines of a prompt without bullets and surplus spaces."""
    return frozenset(_bare(line) for line in prompt.split("\n"))


def _apply(prompt: str, edit: Edit) -> str:
    lines = prompt.split("\n")
    if edit.kind == "add":
        if not edit.rule.strip() or _find(lines, edit.rule) is not None:
            return prompt
        bullet = f"- {edit.rule}"
        header = _find(lines, HEADER)
        if header is None:
            return f"{prompt.rstrip()}\n\n{HEADER}\n{bullet}"
        end = header + 1
        while end < len(lines) and lines[end].startswith("- "):
            end += 1
        return "\n".join([*lines[:end], bullet, *lines[end:]])
    place = _find(lines, edit.target)
    if place is None:
        return prompt
    if edit.kind == "change":
        bullet = lines[place][: len(lines[place]) - len(lines[place].lstrip(" -*"))]
        return "\n".join([*lines[:place], f"{bullet}{edit.rule}", *lines[place + 1 :]])
    del lines[place]
    header = _find(lines, HEADER)
    if header is not None and not any(line.startswith("- ") for line in lines[header + 1 : header + 2]):
        del lines[header]
    return "\n".join(lines).rstrip()


def _find(lines: Sequence[str], text: str) -> int | None:
    wanted = _bare(text)
    if not wanted:
        return None
    return next((index for index, line in enumerate(lines) if _bare(line) == wanted), None)


def _bare(line: str) -> str:
    return " ".join(line.lstrip(" -*").split())


class Observation(NamedTuple):
    """A rollout: the lines of its prompt, its case and its score."""

    lines: frozenset[str]
    case_id: str
    score: float


def line_effects(observations: Sequence[Observation], lines: Sequence[str]) -> dict[str, float]:
    """Estimate what each line adds to the mean score.

    Args:
        observations: All rollouts.
        lines: The lines that are asked about; others count as part of the noise.

    Returns:
        The effect of each line, on the scale of scores; 0 for one that no rollout had.
    """
    cases = sorted({observation.case_id for observation in observations})
    place = {case: len(lines) + index for index, case in enumerate(cases)}
    size = len(lines) + len(cases) + 1
    penalties = [(_NOISE / _OF_LINES) ** 2] * len(lines) + [(_NOISE / _BETWEEN_CASES) ** 2] * len(cases)
    # The overall mean is free, but for what keeps the system solvable without observations.
    penalties.append(1e-6)
    matrix = [[0.0] * size for _ in range(size)]
    for index, penalty in enumerate(penalties):
        matrix[index][index] = penalty
    right = [0.0] * size
    for observation in observations:
        terms = [index for index, line in enumerate(lines) if line in observation.lines]
        terms += [place[observation.case_id], size - 1]
        for row in terms:
            right[row] += observation.score
            for column in terms:
                matrix[row][column] += 1.0
    return dict(zip(lines, _solve(matrix, right), strict=False))


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve a symmetric, positive definite system by Gaussian elimination."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for pivot in range(size):
        top = rows[pivot]
        for row in rows[pivot + 1 :]:
            factor = row[pivot] / top[pivot]
            if factor:
                for column in range(pivot, size + 1):
                    row[column] -= factor * top[column]
    solution = [0.0] * size
    for index in range(size - 1, -1, -1):
        rest = sum(rows[index][column] * solution[column] for column in range(index + 1, size))
        solution[index] = (rows[index][size] - rest) / rows[index][index]
    return solution


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
