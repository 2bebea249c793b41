"""Kate's errors, its rule on TLS, and spans of ours as hers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen import KateClient, Span, Trace
from pytest_kaizen.errors import KateError
from pytest_kaizen.models import Message, Part, SpanKind, Usage
from pytest_kaizen.platforms import kate

if TYPE_CHECKING:
    from tests.platforms.conftest import Loopback

NOW = datetime(2026, 3, 30, 10, 0, tzinfo=UTC)


def said(role: str, text: str) -> Message:
    return Message(role=role, parts=[Part(type="text", content=text)])


def test_no_key_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KateError, match="Kate: no key: give api_key, or set KATE_API_KEY"):
        KateClient()
    monkeypatch.setenv("KATE_API_KEY", "kate-key")
    assert KateClient().base_url == "https://api.projectkate.com"


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "https://kate.test"]
)
def test_tls_is_for_other_machines(url: str) -> None:
    assert KateClient("kate-key", url).base_url == url


@pytest.mark.parametrize("url", ["http://kate.test", "http://localhost.kate.test", "http://10.0.0.1:8000"])
def test_no_key_in_the_clear(url: str) -> None:
    with pytest.raises(KateError, match=f"not sent: {url} would carry the key in the clear"):
        KateClient("kate-key", url)


@pytest.mark.asyncio
async def test_errors_carry_the_detail(loopback: Loopback) -> None:
    loopback.answer(409, '{"detail": "the run is completed"}')
    async with KateClient("kate-key", loopback.url, agent_id="a-1") as client:
        with pytest.raises(KateError, match="409: the run is completed") as error:
            await client.runs.upload_spans(run_id="r-1", spans=[])
    assert (error.value.status_code, error.value.detail) == (409, "the run is completed")
    assert loopback.received[0].line == "POST /agents/a-1/runs/r-1/spans HTTP/1.1"


@pytest.mark.asyncio
async def test_runs_and_spans_are_not_sent_twice(loopback: Loopback) -> None:
    loopback.answer(502, "{}")
    loopback.send(b"")
    async with KateClient("kate-key", loopback.url, agent_id="a-1") as client:
        with pytest.raises(KateError, match="502"):
            await client.runs.create(trigger="test")
        with pytest.raises(KateError, match="the connection broke"):
            await client.runs.upload_spans(run_id="r-1", spans=[])
    assert len(loopback.received) == 2


@pytest.mark.asyncio
async def test_a_hosted_run_is_not_started_twice(loopback: Loopback) -> None:
    loopback.answer(502, "{}")
    with pytest.raises(KateError, match="502"):
        await KateClient("kate-key", loopback.url, agent_id="a-1").runs.enqueue(user_input="go")
    assert len(loopback.received) == 1


def test_a_trace_as_spans() -> None:
    trace = Trace(
        id="t-1",
        name="test_x",
        created_at=NOW,
        spans=[
            Span(id="s-1", name="agent", kind=SpanKind.CHAIN, started_at=NOW),
            Span(
                id="s-2",
                parent_id="s-1",
                name="chat",
                model="claude-haiku-4-5",
                input=[said("system", "Be brief."), said("user", "Hello")],
                output=[
                    Message(
                        role="assistant",
                        parts=[
                            Part(type="text", content="Hi"),
                            Part.model_validate({"type": "tool_call", "id": "c-1", "name": "look"}),
                        ],
                    )
                ],
                usage=Usage(input_tokens=12, output_tokens=3),
                started_at=NOW,
                latency_ms=250.5,
                error="cut short",
            ),
            Span(id="s-3", name="judge", kind=SpanKind.JUDGE, started_at=NOW),
        ],
    )
    assert kate.SpanUpload.of(trace).to_json() == {
        "spans": [
            {"node_name": "agent", "span_kind": "CHAIN"},
            {
                "node_name": "chat",
                "span_kind": "LLM",
                "input_text": "system: Be brief.\n\nuser: Hello",
                "output_text": 'Hi\n{"type":"tool_call","id":"c-1","name":"look"}',
                "model": "claude-haiku-4-5",
                "latency_ms": 250.5,
                "token_count": 15,
                "error": "cut short",
            },
        ]
    }
