"""Warnings about the replies of a task that a judge should not be trusted with alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from ..models import Case, Sample, ScoreSource
from ..report.text import safe_text

#: Cases whose replies are compared; more would say the same.
_COMPARED_CASES = 500


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
        # Not above: a suite without a judge need not wait for it.
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
