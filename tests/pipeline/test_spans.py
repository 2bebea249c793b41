"""Stored traces as a model reads them, span by span."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pytest_kaizen.llm import Completion, LLMRequest
from pytest_kaizen.models import Message, Part, Span, SpanKind, Trace
from pytest_kaizen.optimize import (
    CappedLLM,
    Failure,
    LLMReflector,
    Meter,
    ReflectionRequest,
)
from pytest_kaizen.pipeline.studied import StoredSpans
from pytest_kaizen.prices import load_prices
from pytest_kaizen.store import Store

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def _trace() -> Trace:
    asked = Message(role="user", parts=[Part(type="text", content="When does it come?")])
    called = Message(role="assistant", parts=[Part.model_validate({"type": "tool_call", "name": "look_up"})])
    spans = [
        Span(id="s1", name="chat", input=[asked], output=[called], started_at=NOW),
        Span(id="s2", name="look_up", kind=SpanKind.TOOL, error="no such order", started_at=NOW),
    ]
    return Trace(id="t" * 32, name="it", created_at=NOW, spans=spans)


def test_each_span_is_a_text(tmp_path: Path) -> None:
    with Store.open(tmp_path / "kaizen.db") as store:
        store.add_rollout("job-1", _trace())
        assert StoredSpans(store).spans("t" * 32) == {
            "s1": 'LLM chat\nuser: When does it come?\nassistant: {"type": "tool_call", "name": "look_up"}',
            "s2": "TOOL look_up\nerror: no such order",
        }
        assert StoredSpans(store).spans("another") == {}


def test_a_reflection_reads_what_it_asks_for(tmp_path: Path) -> None:
    shown: list[str] = []

    class Model:
        def complete(self, request: LLMRequest) -> Completion:
            shown.append(request.prompt)
            read = ["s2"] if len(shown) == 1 else []
            return Completion(text="", model=request.model, data={"lessons": [], "read": read})

    failure = Failure(case_id="c", trace_id="t" * 32, input="i", score=0.0)
    with Store.open(tmp_path / "kaizen.db") as store:
        store.add_rollout("job-1", _trace())
        reflector = LLMReflector(CappedLLM(Model(), Meter(), load_prices()), "m", StoredSpans(store))
        reflector.reflect(ReflectionRequest(task="t", prompt="p", failures=(failure,), mode="recursive"))
    first, second = shown
    assert ("s1 (" in first, "no such order" in first.partition("s2 (")[2]) == (True, True)
    assert "TOOL look_up\nerror: no such order" in second
    assert "TOOL look_up\nerror: no such order" not in first
