"""Every operation, with every state that a key may be in."""

from __future__ import annotations

import re

import httpx
import pytest
from starlette.datastructures import Headers

from pytest_kaizen.server.dispatch import given_key, is_local
from pytest_kaizen.server.operation import KeyHeader, Operation
from pytest_kaizen.server.routes import OPERATIONS

from .conftest import ELSEWHERE, Site

#: Who may use what. A new operation must be written down here too.
RULES = {
    "GET /health": "anyone",
    "GET /ready": "anyone",
    "GET /openapi.json": "anyone",
    "GET /metrics": "admin",
    "POST /api/v1/messages": "write",
    "POST /api/v1/chat/completions": "write",
    "POST /v1/traces": "write",
    "POST /api/v1/traces/ingest": "write",
    "POST /api/v1/traces/{trace_id}/feedback": "write",
    "GET /api/v1/traces": "read",
    "POST /api/traces/search": "read",
    "GET /api/traces": "read",
    "POST /api/traces": "write",
    "GET /api/traces/{trace_id}": "read",
    "DELETE /api/traces/{trace_id}": "write",
    "POST /api/traces/batch": "read",
    "POST /api/insights/generate": "write",
    "GET /api/insights": "read",
    "PATCH /api/insights/{insight_id}": "write",
    "GET /api/jobs": "read",
    "GET /api/jobs/{job_id}": "read",
    "POST /api/jobs/{job_id}": "write",
    "POST /api/jobs/{job_id}/cancel": "write",
    "POST /api/prompts/generate": "write",
    "GET /api/prompts": "read",
    "GET /api/prompts/{prompt_id}": "read",
    "POST /api/v1/optimize/{task_id}": "write",
    "GET /api/v1/jobs": "read",
    "GET /api/v1/jobs/{job_id}": "read",
    "POST /api/v1/jobs/{job_id}/retry-pr": "write",
    "POST /api/v1/jobs/{job_id}/create-pr": "write",
    "POST /api/v1/tasks/{task_id}/seed": "write",
    "POST /api/v1/tasks": "write",
    "GET /api/v1/tasks": "read",
    "GET /api/v1/tasks/{task_id}": "read",
    "DELETE /api/v1/tasks/{task_id}": "write",
    "POST /api/v1/feedback": "write",
    "GET /api/v1/feedback": "read",
    "GET /api/v1/prompts/{task_id}": "read",
    "GET /api/v1/prompts/{task_id}/versions": "read",
    "POST /api/v1/prompts/{task_id}/activate": "write",
    "POST /api/v1/traces": "write",
    "POST /api/v1/traces/{trace_id}/score": "write",
    "GET /api/v1/keys/status": "anyone",
    "GET /api/v1/keys": "admin",
    "POST /api/v1/keys": "admin",
    "DELETE /api/v1/keys/{key_id}": "admin",
    "POST /api/v1/keys/bootstrap": "admin",
    "PUT /api/runs/{run_id}": "write",
    "PUT /api/runs/{run_id}/cases": "write",
    "GET /api/integrations": "read",
    "PUT /api/integrations/mlflow": "write",
    "PUT /api/integrations/langsmith": "write",
    "PUT /api/integrations/braintrust": "write",
    "DELETE /api/integrations/{integration}": "write",
    "POST /api/integrations/{integration}/test": "write",
    "GET /api/integrations/{integration}/projects": "read",
    "POST /api/integrations/{integration}/import": "write",
    "GET /api/braintrust/traces": "read",
    "GET /api/braintrust/traces/{trace_id}": "read",
    "POST /api/experiments": "write",
    "GET /api/experiments": "read",
    "GET /api/experiments/{experiment_id}": "read",
    "POST /api/experiments/{experiment_id}/analysis": "write",
    "POST /api/behaviors": "write",
    "POST /api/behaviors/detect": "write",
    "GET /api/behaviors": "read",
    "POST /api/annotations": "write",
    "GET /api/annotations": "read",
    "GET /agents": "read",
    "POST /agents": "write",
    "GET /agents/{agent_id}": "read",
    "PATCH /agents/{agent_id}": "write",
    "DELETE /agents/{agent_id}": "write",
    "GET /agents/{agent_id}/runs": "read",
    "POST /agents/{agent_id}/runs": "write",
    "GET /agents/{agent_id}/runs/{run_id}": "read",
    "POST /agents/{agent_id}/runs/{run_id}/complete": "write",
    "GET /agents/{agent_id}/runs/{run_id}/spans": "read",
    "POST /agents/{agent_id}/runs/{run_id}/spans": "write",
    "POST /agents/{agent_id}/runs/enqueue": "write",
    "GET /agents/{agent_id}/eval/summary": "read",
}
#: The status for a key, by what the operation needs; None: it is let in.
STATES = {
    #          anyone  read  write admin
    None: (None, 401, 401, 401),
    "unknown": (None, 401, 401, 401),
    "late": (None, 401, 401, 401),
    "gone": (None, 401, 401, 401),
    "reads": (None, None, 403, 403),
    "writes": (None, 403, None, 403),
    "both": (None, None, None, 403),
    "rules": (None, 403, 403, None),
    "all": (None, None, None, None),
    "stranger": (None, None, None, None),
}
NEEDS = ("anyone", "read", "write", "admin")


def path_of(operation: Operation) -> str:
    return re.sub(r"\{\w+\}", "11111111-1111-4111-8111-111111111111", operation.path)


async def ask(site: Site, operation: Operation, headers: dict[str, str], at: str) -> httpx.Response:
    async with site.client(at=at) as client:
        return await client.request(operation.method, path_of(operation), headers=headers)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
@pytest.mark.asyncio
@pytest.mark.wire("shared: a key in either header")
async def test_every_operation_with_every_key(site: Site, operation: Operation) -> None:
    assert operation.name in RULES, f"{operation.name} has no rule: say in RULES who may use it"
    need = NEEDS.index(RULES[operation.name])
    for key, expected in STATES.items():
        for name in operation.key.value:
            secret = "" if key is None else site.book.keys.get(key, key)
            given = {name: f"Bearer {secret}" if name == "Authorization" else secret}
            status = (await ask(site, operation, given, ELSEWHERE)).status_code
            if expected[need] is None:
                assert status not in (401, 403), (key, name)
            else:
                assert status == expected[need], (key, name)
            assert status in operation.statuses, (key, name)
    await site.state.close()


def test_no_rule_is_left_over() -> None:
    assert set(RULES) == {operation.name for operation in OPERATIONS}


@pytest.mark.parametrize(
    ("key", "detail"),
    [
        (None, "give a key in the header X-API-Key or Authorization"),
        ("unknown", "the key is not known here"),
        ("late", "the key has expired"),
        ("reads", "this needs a key with the scope 'admin'; this one has: read"),
    ],
)
@pytest.mark.asyncio
async def test_why_not(site: Site, key: str | None, detail: str) -> None:
    async with site.client(key, at=ELSEWHERE) as client:
        answer = await client.get("/metrics")
    assert answer.json()["detail"] == detail
    assert answer.headers.get("www-authenticate") == (None if key == "reads" else "Bearer")


@pytest.mark.parametrize(
    ("headers", "usual", "own"),
    [
        ({}, None, None),
        ({"X-API-Key": " k "}, "k", None),
        ({"authorization": "bearer  k"}, "k", None),
        ({"authorization": "Basic k"}, None, None),
        ({"authorization": "Bearer"}, None, None),
        ({"x-api-key": "", "authorization": "Bearer k"}, "k", None),
        ({"x-api-key": "a", "authorization": "Bearer b", "x-kaizen-key": "c"}, "a", "c"),
    ],
)
def test_where_the_key_stands(headers: dict[str, str], usual: str | None, own: str | None) -> None:
    assert given_key(Headers(headers), KeyHeader.USUAL) == usual
    assert given_key(Headers(headers), KeyHeader.OWN) == own


@pytest.mark.parametrize(
    ("client", "headers", "local"),
    [
        (("127.0.0.1", 5), {"host": "127.0.0.1:8000"}, True),
        (("127.0.0.1", 5), {"host": "LOCALHOST"}, True),
        (("::1", 5), {"host": "[::1]:8000"}, True),
        (("::1", 5), {"host": "[::1]"}, True),
        (("192.0.2.1", 5), {"host": "127.0.0.1:8000"}, False),
        (("127.0.0.1", 5), {"host": "evil.example:8000"}, False),
        (("127.0.0.1", 5), {}, False),
        (("127.0.0.1", 5), {"host": "localhost", "x-forwarded-for": "192.0.2.1"}, False),
        (("127.0.0.1", 5), {"host": "localhost", "forwarded": "for=192.0.2.1"}, False),
        (None, {"host": "localhost"}, False),
        # What a page of another site makes a browser here send.
        (("127.0.0.1", 5), {"host": "localhost", "origin": "https://evil.example"}, False),
        (("127.0.0.1", 5), {"host": "localhost", "origin": "null"}, False),
        (("127.0.0.1", 5), {"host": "localhost", "sec-fetch-site": "cross-site"}, False),
        (("127.0.0.1", 5), {"host": "localhost", "sec-fetch-site": "same-site"}, False),
        (("127.0.0.1", 5), {"host": "localhost", "sec-fetch-site": "none"}, True),
        (("127.0.0.1", 5), {"host": "localhost:8", "origin": "http://localhost:9"}, False),
        (("127.0.0.1", 5), {"host": "localhost:8", "origin": "http://localhost:8"}, True),
    ],
)
def test_what_is_local(client: tuple[str, int] | None, headers: dict[str, str], local: bool) -> None:
    assert is_local({"client": client}, Headers(headers)) is local


@pytest.mark.asyncio
async def test_figures_are_shown_on_this_machine_without_a_key(site: Site) -> None:
    async with site.client() as client:
        assert (await client.get("/metrics")).status_code == 200
        assert (
            await client.get("/metrics", headers={"X-API-Key": site.book.keys["reads"]})
        ).status_code == 403
