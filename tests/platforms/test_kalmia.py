"""Kalmia's errors, and traces of ours as hers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen import KalmiaClient, Score, Span, Trace
from pytest_kaizen.errors import KalmiaError
from pytest_kaizen.models import Message, Part, ScoreSource, SpanKind, Usage
from pytest_kaizen.platforms.kalmia.trace_wire import SPAN_TYPES, KalmiaTrace

if TYPE_CHECKING:
    from tests.platforms.conftest import Loopback

NOW = datetime(2026, 3, 30, 10, 0, tzinfo=UTC)
EPOCH = NOW.timestamp()


def test_no_key_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KalmiaError, match="Kalmia: no key: give api_key, or set KALMIA_API_KEY"):
        KalmiaClient()
    monkeypatch.setenv("KALMIA_API_KEY", "kal_live_key")
    assert KalmiaClient().base_url == "http://localhost:3000"
    monkeypatch.setenv("KALMIA_BASE_URL", "https://kalmia.test/")
    assert KalmiaClient().base_url == "https://kalmia.test"


def test_errors_carry_what_was_said(loopback: Loopback) -> None:
    loopback.answer(400, '{"error": "name is required"}')
    with pytest.raises(KalmiaError, match="400: name is required") as error:
        KalmiaClient("kal_live_key", loopback.url).create_experiment("x", [])
    assert (error.value.status_code, error.value.detail) == (400, "name is required")


@pytest.mark.parametrize("body", ["", "{}", '{"stored": 1, "rejected": []}'])
def test_an_ingest_that_rejects_nothing(loopback: Loopback, body: str) -> None:
    loopback.answer(503, "{}")
    loopback.answer(202, body)
    result = KalmiaClient("kal_live_key", loopback.url).ingest([KalmiaTrace(id="t")])
    assert result.rejected == []
    assert [request.body for request in loopback.received] == [b'[{"id":"t"}]'] * 2


def test_paid_work_and_experiments_are_not_started_twice(loopback: Loopback) -> None:
    client = KalmiaClient("kal_live_key", loopback.url)
    loopback.answer(504, "{}")
    with pytest.raises(KalmiaError, match="504"):
        client.analyze_experiment("exp-1")
    loopback.answer(504, "{}")
    with pytest.raises(KalmiaError, match="504"):
        client.detect_behaviors(["t"])
    loopback.answer(504, "{}")
    with pytest.raises(KalmiaError, match="504"):
        client.create_experiment("x", ["run-1"])
    assert len(loopback.received) == 3


def test_every_kind_of_a_step_has_a_type() -> None:
    assert set(SPAN_TYPES) == set(SpanKind) - {SpanKind.JUDGE}


def test_a_trace_with_its_spans() -> None:
    call = Span(
        id="s-2",
        parent_id="s-1",
        name="chat claude-haiku-4-5",
        provider="anthropic",
        model="claude-haiku-4-5",
        input=[
            Message(role="system", parts=[Part(type="text", content="Be brief.")]),
            Message(role="user", parts=[Part.model_validate({"type": "uri", "uri": "https://x.test/a.png"})]),
        ],
        output=[Message(role="assistant", parts=[Part(type="text", content="Hi")])],
        usage=Usage(input_tokens=120, output_tokens=3, cache_read_tokens=100, cache_write_tokens=8),
        started_at=NOW + timedelta(seconds=1),
        latency_ms=500.0,
        error="cut short",
        metadata={"temperature": 0},
    )
    trace = Trace(
        id="t-1",
        name="test_x",
        created_at=NOW,
        input={"ticket": "x"},
        output="Hi",
        metadata={"suite": "smoke"},
        scores=[
            Score(name="polite", value=0.5, source=ScoreSource.CHECK),
            Score(name="broken", error="no answer", source=ScoreSource.JUDGE),
        ],
        spans=[
            Span(id="s-1", parent_id="outside", name="agent", kind=SpanKind.AGENT, started_at=NOW),
            call,
            Span(id="s-3", name="judge", kind=SpanKind.JUDGE, started_at=NOW, latency_ms=9e6),
        ],
    )
    made = KalmiaTrace.of(trace, project="bot", correlation_id="run-1").to_json()
    root, agent, llm = made.pop("spans")
    assert made == {
        "id": "t-1",
        "project_id": "bot",
        "created": "2026-03-30T10:00:00Z",
        "input": {"ticket": "x"},
        "output": "Hi",
        "metadata": {"suite": "smoke", "correlationId": "run-1", "source": "sdk", "project": "bot"},
    }
    assert root == {
        "id": "t-1",
        "span_id": "t-1",
        "root_span_id": "t-1",
        "span_parents": [],
        "name": "test_x",
        "span_attributes": {"name": "test_x", "type": "task"},
        "input": {"ticket": "x"},
        "output": "Hi",
        "scores": {"polite": 0.5},
        "metadata": None,
        "metrics": {"start": EPOCH, "end": EPOCH + 1.5},
        "created": "2026-03-30T10:00:00Z",
    }
    assert (agent["span_parents"], agent["span_attributes"]["type"]) == (["t-1"], "task")
    assert agent["metrics"] == {"start": EPOCH}
    assert llm == {
        "id": "s-2",
        "span_id": "s-2",
        "root_span_id": "t-1",
        "span_parents": ["s-1"],
        "name": "anthropic chat",
        "span_attributes": {"name": "anthropic chat", "type": "llm"},
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "uri", "uri": "https://x.test/a.png"}]},
        ],
        "output": [{"role": "assistant", "content": "Hi"}],
        "error": "cut short",
        "metadata": {"temperature": 0, "model": "claude-haiku-4-5"},
        "metrics": {
            "start": EPOCH + 1.0,
            "end": EPOCH + 1.5,
            "prompt_tokens": 12,
            "completion_tokens": 3,
            "total_tokens": 15,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 8,
        },
        "created": "2026-03-30T10:00:01Z",
    }


def test_openai_counts_cached_tokens_as_prompt() -> None:
    call = Span(
        id="s-1",
        name="chat",
        provider="openai",
        usage=Usage(input_tokens=120, cache_read_tokens=100),
        started_at=NOW,
    )
    trace = Trace(id="t-1", name="test_x", created_at=NOW, spans=[call])
    span = KalmiaTrace.of(trace, project="bot").to_json()["spans"][1]
    assert span["name"] == "openai chat"
    assert span["metrics"] == {"start": EPOCH, "prompt_tokens": 120, "cache_read_input_tokens": 100}
