from __future__ import annotations

import pytest

from .conftest import Book, Site


@pytest.mark.asyncio
@pytest.mark.wire("kaizen-ct: GET /health")
async def test_health(site: Site) -> None:
    async with site.client() as client:
        answer = await client.get("/health")
        head = await client.head("/health/")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert head.status_code == 200


@pytest.mark.asyncio
async def test_ready_while_the_store_can_be_read(site: Site, book: Book) -> None:
    async with site.client() as client:
        assert (await client.get("/ready")).json() == {"status": "ready"}
        book.break_off()
        assert (await client.get("/ready")).status_code == 503
        assert (await client.get("/health")).status_code == 200


@pytest.mark.asyncio
async def test_figures_in_prometheus_form(site: Site) -> None:
    async with site.client() as client:
        await client.get("/health")
        answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'kaizen_requests_total{method="GET",path="/health",status="200"} 1.0' in answer.text
