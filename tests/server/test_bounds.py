"""How long, how deep and how many: every operation that takes something has bounds."""

from __future__ import annotations

import json

import pytest

from pytest_kaizen.server.operation import Operation
from pytest_kaizen.server.routes import OPERATIONS

from .conftest import MakeSite
from .test_admission import path_of

TAKING = [operation for operation in OPERATIONS if operation.body is not None]
#: Bodies that take a list, with one item more than is taken.
LISTS = {
    "/api/v1/traces/ingest": [{"id": str(number)} for number in range(4)],
    "/api/traces": {"traces": [{"filename": "a", "content": "a", "fileType": "txt"}] * 4},
    "/api/traces/batch": {"ids": ["a"] * 4},
    "/api/experiments": {"name": "e", "correlationIds": ["a"] * 4},
    "/agents/a/runs/r/spans": {"spans": [{"node_name": "a"}] * 4},
}
SPAN = '{"traceId": "' + "a" * 32 + '", "spanId": "' + "b" * 16 + '", "name": "s", "attributes": %s}'
#: By path, a body with a place for something deep.
PLACES = {
    "/v1/traces": '{"resourceSpans": [{"scopeSpans": [{"spans": [' + SPAN + "]}]}]}",
    "/api/v1/traces/ingest": '{"id": "a", "input": %s, "spans": [{"id": "s", "metadata": {"deep": %s}}]}',
    "/api/v1/feedback": '{"task_name": "t", "inputs": {"deep": %s}}',
    "/api/v1/traces": '{"task_id": "t", "metadata": {"deep": %s}}',
    "/api/v1/tasks/t/seed": '{"inputs": {"deep": %s}}',
}


@pytest.mark.parametrize("operation", TAKING, ids=lambda operation: operation.name)
@pytest.mark.asyncio
async def test_a_body_that_is_too_long(make_site: MakeSite, operation: Operation) -> None:
    site = make_site(max_body_bytes=1024)
    async with site.client() as client:
        headers = {operation.key.value[0]: site.book.keys["all"]}
        answer = await client.request(
            operation.method, path_of(operation), content=b" " * 1025, headers=headers
        )
    assert (answer.status_code, answer.json()["detail"]) == (
        413,
        "the body is longer than the 1024 bytes that are taken",
    )
    await site.state.close()


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.asyncio
async def test_a_list_that_is_too_long(make_site: MakeSite, path: str) -> None:
    async with make_site(max_batch=3).client("both") as client:
        answer = await client.post(path, json=LISTS[path])
    assert answer.status_code == 413
    assert " 3 at most" in answer.json()["detail"]


@pytest.mark.parametrize("depth", [150, 1_000, 100_000])
@pytest.mark.asyncio
async def test_json_that_is_deep_is_kept_or_refused(make_site: MakeSite, depth: int) -> None:
    """What is kept can be shown."""
    deep = "[" * depth + "]" * depth
    async with make_site().client("both") as client:
        await client.post("/api/v1/feedback", json={"task_name": "t", "inputs": {"deep": 1}})
        for path, body in PLACES.items():
            content = body.replace("%s", deep)
            answer = await client.post(path, content=content, headers={"Content-Type": "application/json"})
            assert answer.status_code < 500, path
            # What stands for OTLP's attributes is none at any depth.
            assert depth > 150 or path == "/v1/traces" or answer.is_success, answer.text
        file = {"filename": "deep.json", "content": deep, "fileType": "json"}
        assert (await client.post("/api/traces", content=json.dumps({"traces": [file]}))).status_code == 200
        for path in (
            "/api/traces",
            "/api/v1/traces",
            "/api/v1/traces?task_id=t",
            "/api/v1/feedback?task_id=t",
        ):
            assert (await client.get(path)).status_code == 200, path
        kalmia = {"X-API-Key": "", "Authorization": f"Bearer {client.headers['X-API-Key']}"}
        assert (await client.get("/api/v1/traces", headers=kalmia)).status_code == 200
