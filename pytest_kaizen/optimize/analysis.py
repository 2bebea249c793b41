"""What a model finds in traces of an agent: patterns, each with the traces that show it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..llm import LLMRequest
from ..models import AnswerKey
from ..score.asking import Asker
from ..score.judge_prompt import closed_object
from .reflect_prompts import MATERIAL, failure_text, marked
from .reflector import Failure

_FORM = """\
A finding has a title of a few words and a detail of one to three sentences that say what the agent does, \
when, and what follows from it. Report nothing that no trace shows; no finding is better than a weak one. \
Where a question is asked, report only what answers it."""

ANALYZE = f"""\
You study traces of what an agent did, some with scores, and report patterns in its behaviour: what it \
does well and badly, where and why it fails, what it repeats or leaves out. Name for each finding the \
numbers of all traces that show it. {_FORM}

{MATERIAL}"""

MERGE = f"""\
You are given the findings that several readers made in traces of one agent, each reader in other traces. \
Put those together that say the same, and leave the others as they are, the weightiest first. Name for \
each of yours the numbers of all findings that it is made of. {_FORM}

{MATERIAL}"""

_MAX_TOKENS = 8192
_TEXT = {"type": "string"}


class Finding(NamedTuple):
    """A pattern, and the ids of the traces that show it."""

    title: str
    detail: str
    traces: tuple[str, ...]


class Analyst:
    """Studies traces.

    Args:
        asker: Asks the model, or remembers what it said.
        model: The model.
        question: What is to be found out; None for whatever is notable.
    """

    def __init__(self, asker: Asker, model: str, question: str | None = None) -> None:
        self._asker = asker
        self._model = model
        self._question = question

    def study(self, traces: Sequence[Failure]) -> list[Finding]:
        """Report what a few traces show.

        Raises:
            LLMError: The model failed, or gave no readable answer.
        """
        sections = [(f"TRACE {number}", failure_text(trace)) for number, trace in enumerate(traces, 1)]
        found = self._ask(ANALYZE, sections, "traces", len(traces))
        return [
            Finding(title, detail, tuple(traces[number - 1].case_id for number in numbers))
            for title, detail, numbers in found
        ]

    def merge(self, findings: Sequence[Finding]) -> list[Finding]:
        """Put findings together that say the same; none gets lost. Raises as ``study``."""
        texts = [f"{number}. {finding.title}: {finding.detail}" for number, finding in enumerate(findings, 1)]
        merged = self._ask(MERGE, [("FINDINGS", "\n".join(texts))], "findings", len(findings))
        taken = {number for *_, numbers in merged for number in numbers}
        left = [finding for number, finding in enumerate(findings, 1) if number not in taken]
        together = [
            Finding(title, detail, _joined(findings[number - 1] for number in numbers))
            for title, detail, numbers in merged
        ]
        return [*together, *left]

    def _ask(
        self, system: str, sections: list[tuple[str, str]], of: str, count: int
    ) -> list[tuple[str, str, list[int]]]:
        if self._question:
            sections = [("QUESTION", self._question), *sections]
        prompt = marked(sections)
        request = LLMRequest(
            model=self._model, system=system, prompt=prompt, schema=_schema(of, count), max_tokens=_MAX_TOKENS
        )
        asked = hashlib.sha256(f"{system}\n{prompt}".encode("utf-8", "surrogatepass")).hexdigest()
        key = AnswerKey(model=self._model, rubric="analysis", content=asked, order=of)
        return self._asker.ask(request, key, lambda data: _read(data, of, count))


def _schema(of: str, count: int) -> dict[str, Any]:
    number = {"type": "integer", "enum": list(range(1, count + 1))}
    finding = closed_object({of: {"type": "array", "items": number}, "detail": _TEXT, "title": _TEXT})
    return closed_object({"findings": {"type": "array", "items": finding}})


def _read(data: Any, of: str, count: int) -> list[tuple[str, str, list[int]]]:
    """Read an answer strictly: what points to no trace, or says nothing, is no finding."""
    entries = data.get("findings") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise ValueError("no list of findings")  # noqa: TRY004 - one kind of error for one kind of mistake
    found = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise ValueError("a finding that is no JSON object")  # noqa: TRY004
        title, detail = (_text(entry.get(name), name) for name in ("title", "detail"))
        numbers = entry.get(of)
        if not isinstance(numbers, list) or not numbers:
            raise ValueError(f"'{title}' names no {of}")
        for number in numbers:
            # A JSON true is an int to Python, and no number of a trace.
            if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count:
                raise ValueError(f"'{title}' names {of} that were not shown: {number!r}")
        found.append((title, detail, sorted(set(numbers))))
    return found


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"a finding without {name}")
    return value.strip()


def _joined(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(trace for finding in findings for trace in finding.traces))
