"""The reflector that asks a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from ..errors import LLMError
from ..llm import LLM, LLMRequest
from .reflect_prompts import (
    READ,
    REFLECT,
    RELATE,
    STUDY,
    lessons_schema,
    reflect_text,
    relate_text,
    relations_schema,
    spans_text,
)
from .reflector import (
    Lesson,
    Lessons,
    ReflectionRequest,
    RelateRequest,
    Relation,
    Relations,
    Rewrite,
    RewriteRequest,
)

_MAX_TOKENS = 8192
#: How often an answer that cannot be read is asked for again.
_RETRIES = 1
#: Recursive mode: rounds of reading, and how much of a span is shown in the outline and when it is read.
READING_ROUNDS, _OUTLINE_CHARS, _SPAN_CHARS = 5, 80, 20_000
#: Spans that a round of reading may ask for.
_SPANS = 4
_CONFIDENCE = {"low": 0.25, "medium": 0.5, "high": 0.75}

T = TypeVar("T")


class SpanReader(Protocol):
    """Reads stored traces."""

    def spans(self, trace_id: str) -> Mapping[str, str]:
        """Return the text of each span of a trace, by its id, in their order; empty when unknown."""
        ...


class LLMReflector:
    """Reflects through the one door to a model, with structured output.

    Args:
        llm: The door, capped by the job's meter (``CappedLLM``).
        model: The model.
        reader: Reads traces in recursive mode; None shows their outputs alone.
    """

    def __init__(self, llm: LLM, model: str, reader: SpanReader | None = None) -> None:
        self._llm = llm
        self._model = model
        self._reader = reader

    def reflect(self, request: ReflectionRequest) -> Lessons:
        """Draw lessons from failures.

        Raises:
            LLMError: The model failed or gave no readable answer.
        """
        asked = _Conversation(self._llm, self._model)
        traces = self._traces(request)
        if not traces:
            schema = lessons_schema(len(request.failures), reading=False)
            found = asked.ask(
                _system(request), reflect_text(request), schema, lambda data: _lessons(data, request)
            )
            return Lessons(lessons=tuple(found), calls=asked.calls, cost_usd=asked.cost_usd)
        return self._read(asked, request, traces)

    def _traces(self, request: ReflectionRequest) -> list[Mapping[str, str]]:
        if request.mode != "recursive" or self._reader is None:
            return []
        ids = [failure.trace_id for failure in request.failures]
        traces = [self._reader.spans(trace_id) if trace_id else {} for trace_id in ids]
        return traces if any(traces) else []

    def _read(
        self, asked: _Conversation, request: ReflectionRequest, traces: Sequence[Mapping[str, str]]
    ) -> Lessons:
        outlines = ["\n".join(_outline(span, text) for span, text in trace.items()) for trace in traces]
        every = {span: text for trace in traces for span, text in trace.items()}
        prompt = reflect_text(request, outlines)
        read: dict[str, str] = {}
        for rounds_left in range(READING_ROUNDS, -1, -1):
            text = f"{prompt}\n\n{spans_text(read)}" if read else prompt
            schema = lessons_schema(len(request.failures), reading=rounds_left > 0)
            data = asked.ask(f"{_system(request)}\n\n{READ}", text, schema, _is_object)
            wanted = [span for span in data.get("read") or () if span in every and span not in read]
            if not wanted:
                break
            read |= {span: every[span][:_SPAN_CHARS] for span in wanted[:_SPANS]}
        found = _lessons(data, request)
        return Lessons(lessons=tuple(found), calls=asked.calls, cost_usd=asked.cost_usd)

    def relate(self, request: RelateRequest) -> Relations:
        """Find rules that say the same or the opposite; raises as ``reflect`` does."""
        asked = _Conversation(self._llm, self._model)
        schema = relations_schema(len(request.new), len(request.known))
        found = asked.ask(RELATE, relate_text(request), schema, _relations)
        return Relations(relations=tuple(found), calls=asked.calls, cost_usd=asked.cost_usd)

    def rewrite(self, request: RewriteRequest) -> Rewrite:
        """Answer in free text; raises as ``reflect`` does."""
        completion = self._llm.complete(
            LLMRequest(model=self._model, system="", prompt=request.text, max_tokens=_MAX_TOKENS)
        )
        return Rewrite(text=completion.text, calls=1, cost_usd=completion.cost_usd or 0.0)


class _Conversation:
    """Questions that belong to one answer, with what they cost together."""

    def __init__(self, llm: LLM, model: str) -> None:
        self.calls = 0
        self.cost_usd = 0.0
        self._llm = llm
        self._model = model

    def ask(self, system: str, prompt: str, schema: dict[str, Any], read: Callable[[Any], T]) -> T:
        request = LLMRequest(
            model=self._model, system=system, prompt=prompt, schema=schema, max_tokens=_MAX_TOKENS
        )
        problem = ""
        for _ in range(1 + _RETRIES):
            completion = self._llm.complete(request)
            self.calls += 1
            self.cost_usd += completion.cost_usd or 0.0
            try:
                return read(completion.data)
            except (ValueError, KeyError, TypeError) as exc:
                problem = f"{type(exc).__name__}: {exc}"
        raise LLMError(f"{self._model} gave no readable answer in {1 + _RETRIES} attempts: {problem}")


def _system(request: ReflectionRequest) -> str:
    return REFLECT if request.of == "failures" else STUDY


def _lessons(data: Any, request: ReflectionRequest) -> list[Lesson]:
    lessons = []
    for entry in _is_object(data)["lessons"]:
        numbers = [number for number in entry["evidence"] if 1 <= number <= len(request.failures)]
        lesson = Lesson(
            rule=entry["rule"].strip(),
            when=entry["when"].strip(),
            section=entry["section"].strip() or "general",
            criterion=entry["criterion"].strip() or None,
            replaces=entry["replaces"].strip() or None,
            evidence=tuple(request.failures[number - 1].case_id for number in numbers),
            justification=entry["justification"].strip(),
            confidence=_CONFIDENCE[entry["confidence"]],
        )
        if lesson.rule:
            lessons.append(lesson)
    return lessons


def _relations(data: Any) -> list[Relation]:
    entries = _is_object(data)["relations"]
    return [Relation(new=entry["new"] - 1, known=entry["known"] - 1, kind=entry["kind"]) for entry in entries]


def _is_object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one kind of error for one kind of mistake
    return data


def _outline(span: str, text: str) -> str:
    line = " ".join(text.split())
    return f"{span} ({len(text)} characters): {line[:_OUTLINE_CHARS]}"
