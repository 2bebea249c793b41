"""Traces over OTLP, as OpenTelemetry's own exporter sends them and as ours does."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as pb

from pytest_kaizen.capture.otel import otlp_json
from pytest_kaizen.models import Message, Part, Score, ScoreSource, Span, SpanKind, Trace, Usage

from .conftest import Book, MakeSite, Site

PROTOBUF = "application/x-protobuf"
TRACE, ROOT, CALL, TOOL = "0a" * 16, "01" * 8, "02" * 8, "03" * 8
SECOND = 1_000_000_000
START = 1_774_864_800 * SECOND
MESSAGES = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}])
ANSWER = json.dumps(
    [{"role": "assistant", "parts": [{"type": "text", "content": "Yo"}], "finish_reason": "stop"}]
)
FACTS: dict[str, dict[str, Any]] = {
    ROOT: {"http.route": "/ask", "count": 3, "tags": ["a", "b"], "nested": {"x": 1.5}, "yes": True},
    CALL: {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-haiku-4-5",
        "gen_ai.request.max_tokens": 9,
        "gen_ai.usage.input_tokens": 1_000_000,
        "gen_ai.usage.output_tokens": 0,
        "gen_ai.input.messages": MESSAGES,
        "gen_ai.output.messages": ANSWER,
        "api_key": "sk-ant-" + "c" * 40,
    },
    TOOL: {"openinference.span.kind": "TOOL", "input.value": "q", "output.value": "found"},
}
NAMES = {ROOT: "ask", CALL: "chat claude-haiku-4-5", TOOL: "look"}


def value(given: Any) -> AnyValue:
    if isinstance(given, bool):
        return AnyValue(bool_value=given)
    if isinstance(given, int):
        return AnyValue(int_value=given)
    if isinstance(given, float):
        return AnyValue(double_value=given)
    if isinstance(given, list):
        return AnyValue(array_value=ArrayValue(values=[value(item) for item in given]))
    if isinstance(given, dict):
        return AnyValue(kvlist_value=KeyValueList(values=attributes(given)))
    return AnyValue(string_value=given)


def attributes(facts: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value(given)) for key, given in facts.items()]


def json_value(given: Any) -> dict[str, Any]:
    if isinstance(given, bool):
        return {"boolValue": given}
    if isinstance(given, int):
        return {"intValue": str(given)}
    if isinstance(given, float):
        return {"doubleValue": given}
    if isinstance(given, list):
        return {"arrayValue": {"values": [json_value(item) for item in given]}}
    if isinstance(given, dict):
        return {"kvlistValue": {"values": json_attributes(given)}}
    return {"stringValue": given}


def json_attributes(facts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": json_value(given)} for key, given in facts.items()]


def in_protobuf(*span_ids: str) -> bytes:
    spans = [
        pb.Span(
            trace_id=bytes.fromhex(TRACE),
            span_id=bytes.fromhex(span_id),
            parent_span_id=b"" if span_id == ROOT else bytes.fromhex(ROOT),
            name=NAMES[span_id],
            start_time_unix_nano=START + number * SECOND,
            end_time_unix_nano=START + number * SECOND + SECOND // 4,
            attributes=attributes(FACTS[span_id]),
            status=pb.Status(code=pb.Status.STATUS_CODE_ERROR, message="boom") if span_id == TOOL else None,
        )
        for number, span_id in enumerate((ROOT, CALL, TOOL))
        if span_id in span_ids
    ]
    resource = Resource(attributes=attributes({"service.name": "shop"}))
    scope = pb.ScopeSpans(spans=spans)
    request = ExportTraceServiceRequest(
        resource_spans=[pb.ResourceSpans(resource=resource, scope_spans=[scope])]
    )
    return request.SerializeToString()


def in_json(*span_ids: str) -> bytes:
    spans = [
        {
            "traceId": TRACE.upper(),
            "spanId": span_id,
            **({} if span_id == ROOT else {"parentSpanId": ROOT}),
            "name": NAMES[span_id],
            "startTimeUnixNano": str(START + number * SECOND),
            "endTimeUnixNano": START + number * SECOND + SECOND // 4,
            "attributes": json_attributes(FACTS[span_id]),
            "status": {"code": 2, "message": "boom"} if span_id == TOOL else {},
        }
        for number, span_id in enumerate((ROOT, CALL, TOOL))
        if span_id in span_ids
    ]
    resource = {"attributes": json_attributes({"service.name": "shop"})}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode()


def packed(body: bytes) -> bytes:
    # Without the time, so that a test has one name in all processes.
    return gzip.compress(body, mtime=0)


async def send(
    site: Site, body: bytes, kind: str = PROTOBUF, encoding: str | None = None, slash: str = ""
) -> httpx.Response:
    headers = {"content-type": kind, **({"content-encoding": encoding} if encoding else {})}
    async with site.client("writes") as client:
        return await client.post(f"/v1/traces{slash}", content=body, headers=headers)


def check_whole(trace: Trace | None) -> None:
    assert trace is not None
    assert (trace.id, trace.name, trace.error) == (TRACE, "ask", None)
    assert (trace.input, trace.output) == ("Hi", "Yo")
    assert trace.created_at == datetime.fromtimestamp(START // SECOND, UTC)
    assert trace.metadata == {"source": "otlp", "services": ["shop"]}
    root, call, tool = trace.spans
    assert (root.id, root.parent_id, root.kind, root.latency_ms) == (ROOT, None, SpanKind.CHAIN, 250.0)
    assert (call.id, call.parent_id, call.kind) == (CALL, ROOT, SpanKind.LLM)
    assert (call.provider, call.model, call.text) == ("anthropic", "claude-haiku-4-5", "Yo")
    assert call.usage == Usage(input_tokens=1_000_000, output_tokens=0)
    assert call.cost_usd == pytest.approx(1.0)
    assert call.metadata["request"] == {"max_tokens": 9}
    assert (tool.kind, tool.error, tool.text) == (SpanKind.TOOL, "boom", "found")


@pytest.mark.asyncio
@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("kind", [PROTOBUF, "application/json"])
async def test_a_trace(site: Site, book: Book, kind: str, gzipped: bool) -> None:
    body = (in_protobuf if kind == PROTOBUF else in_json)(ROOT, CALL, TOOL)
    answer = await send(site, packed(body) if gzipped else body, kind, "gzip" if gzipped else None, "/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    if kind == PROTOBUF:
        assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    else:
        assert answer.json() == {}
    check_whole(book.store("ours").intake.one(TRACE))
    assert book.store("theirs").traces() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("order", [(ROOT, CALL, TOOL), (TOOL, CALL, ROOT), (CALL, ROOT, TOOL, CALL)])
async def test_a_trace_in_parts(site: Site, book: Book, order: tuple[str, ...]) -> None:
    for span_id in order:
        assert (await send(site, in_protobuf(span_id))).status_code == 200
    check_whole(book.store("ours").intake.one(TRACE))


@pytest.mark.asyncio
async def test_our_own_export_comes_back_as_it_was(site: Site, book: Book) -> None:
    at = datetime(2026, 3, 30, tzinfo=UTC)

    def said(role: str, text: str, finish: str | None = None) -> Message:
        return Message(role=role, parts=[Part(type="text", content=text)], finish_reason=finish)

    step = Span(id="a" * 16, name="step", kind=SpanKind.CHAIN, started_at=at, latency_ms=5.0)
    call = Span(
        id="b" * 16,
        parent_id="a" * 16,
        name="chat m",
        provider="anthropic",
        model="m",
        input=[said("system", "Be short."), said("user", "hi")],
        output=[said("assistant", "yo", "stop")],
        usage=Usage(input_tokens=7, output_tokens=2),
        cost_usd=0.5,
        started_at=at,
        latency_ms=2.5,
        replayed=True,
    )
    given = Trace(
        id="c" * 32,
        run_id="run-1",
        task="summarize",
        case_id="test_a",
        sample=3,
        name="the case",
        created_at=at,
        error="AssertionError: no",
        scores=[
            Score(name="kind", value=0.5, source=ScoreSource.SDK, reason="curt"),
            Score(name="broken", error="no answer", source=ScoreSource.SDK),
        ],
        spans=[step, call],
    )
    answer = await send(site, json.dumps(otlp_json([given])).encode(), "application/json; charset=utf-8")
    assert answer.status_code == 200
    kept = book.store("ours").intake.one("c" * 32)
    assert kept is not None
    assert kept.model_dump(exclude={"spans", "metadata", "input", "output"}) == given.model_dump(
        exclude={"spans", "metadata", "input", "output"}
    )
    assert (kept.input, kept.output) == ("[system]\nBe short.\n\n[user]\nhi", "yo")
    assert [span.model_dump(exclude={"metadata"}) for span in kept.spans] == [
        span.model_dump(exclude={"metadata"}) for span in given.spans
    ]


@pytest.mark.asyncio
async def test_secrets_are_not_kept(site: Site, book: Book) -> None:
    secret = "sk-ant-" + "c" * 40
    body = in_json(CALL).replace(b"Yo", secret.encode())
    assert (await send(site, body, "application/json")).status_code == 200
    kept = book.store("ours").intake.one(TRACE)
    assert kept is not None
    assert secret not in kept.model_dump_json()
    assert "[redacted: Anthropic key]" in kept.spans[0].text


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "kind", "encoding", "status", "detail"),
    [
        (b"{", "application/json", None, 400, "the body is no ExportTraceServiceRequest in application/json"),
        (b"[]", "application/json", None, 400, "the body is no ExportTraceServiceRequest"),
        (b'{"resourceSpans": [1]}', "application/json", None, 400, "the body is no ExportTrace"),
        (in_json(ROOT).replace(b"01", b"0", 1), "application/json", None, 400, "the body is no ExportTrace"),
        (in_json(ROOT).replace(ROOT.encode(), b"00" * 8), "application/json", None, 400, "the body is no"),
        (b"\xff\xff", PROTOBUF, None, 400, "the body is no ExportTraceServiceRequest in application/x-proto"),
        (b"x", "text/plain", None, 415, "send application/x-protobuf or application/json (found text/plain)"),
        (b"x", "", None, 415, "send application/x-protobuf or application/json (found no content type)"),
        (b"x", PROTOBUF, "br", 415, "send the body as it is or with gzip (found 'br')"),
        (b"no zip", PROTOBUF, "gzip", 400, "the body is no gzip"),
        (packed(b"x" * 50)[:-9], PROTOBUF, "gzip", 400, "the body's gzip ends too early"),
        (
            packed(b"x" * 5000),
            PROTOBUF,
            "gzip",
            413,
            "the body decompresses to more than the 2048 bytes",
        ),
    ],
)
async def test_what_cannot_be_read(
    make_site: MakeSite, body: bytes, kind: str, encoding: str | None, status: int, detail: str
) -> None:
    answer = await send(make_site(max_body_bytes=2048), body, kind, encoding)
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(detail)


@pytest.mark.asyncio
async def test_overload(site: Site) -> None:
    with site.state.load.held(8 * site.state.config.server.max_body_bytes):
        answer = await send(site, in_protobuf(ROOT))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert (await send(site, in_protobuf(ROOT))).status_code == 200


@pytest.mark.asyncio
async def test_a_store_that_cannot_be_written(site: Site, book: Book) -> None:
    async with site.client("writes") as client:
        book.break_off()
        answer = await client.post(
            "/v1/traces", content=in_protobuf(ROOT), headers={"content-type": PROTOBUF}
        )
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
