"""Key, URL and limits of a client; the cache of prompts; the loop behind clients without await."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen import AsyncCTClient, CTClient
from pytest_kaizen.errors import CTError, KaizenError, PlatformError
from pytest_kaizen.platforms.connections import BackgroundLoop

if TYPE_CHECKING:
    from tests.platforms.conftest import Loopback

KEY = "ct-secret-0123456789"
TASK = "3b4e1f2a-0000-4000-8000-000000000001"
OTHER = "3b4e1f2a-0000-4000-8000-000000000002"


def prompt(version: int, task: str = TASK) -> str:
    return (
        f'{{"id": "7c8d9e0f-0000-4000-8000-000000000002", "task_id": "{task}", "version_number": {version},'
        ' "status": "active", "created_at": "2026-03-30T10:00:00Z"}'
    )


def test_no_key_is_an_error_before_any_request() -> None:
    with pytest.raises(CTError) as error:
        CTClient()
    assert str(error.value) == "Kaizen CT: no key: give api_key, or set KAIZEN_API_KEY in the environment"
    assert (error.value.status_code, error.value.transient) == (None, False)
    assert isinstance(error.value, PlatformError)
    assert isinstance(error.value, KaizenError)


def test_key_and_url_come_from_the_environment(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIZEN_API_KEY", f" {KEY}\n")
    assert CTClient().base_url == "http://localhost:8000"
    monkeypatch.setenv("KAIZEN_BASE_URL", f"{loopback.url}/")
    loopback.answer(200, "[]")
    CTClient().list_tasks()
    assert loopback.received[0].line == "GET /api/v1/tasks?limit=200 HTTP/1.1"
    assert loopback.received[0].headers["x-api-key"] == KEY
    assert loopback.received[0].headers["user-agent"].startswith("pytest-kaizen/")
    assert CTClient(base_url="https://ct.test").base_url == "https://ct.test"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ct.example", "must start with http:// or https://"),
        ("ftp://ct.example", "must start with http:// or https://"),
        ("https://", "must start with http:// or https://"),
        ("https://me:secret-word@ct.example", "no user, password, query or fragment"),
        ("https://ct.example?key=secret-word", "no user, password, query or fragment"),
        ("https://ct.example:port", "is no URL"),
        ("me:secret-word@ct.example", r"must start with http:// or https:// \(found 'ct.example'\)"),
        ("https://me:secret-word/x@ct.example", "is no URL$"),
    ],
)
def test_a_wrong_url_is_an_error(url: str, said: str) -> None:
    with pytest.raises(CTError, match=said) as error:
        CTClient(KEY, url)
    assert "secret-word" not in str(error.value)


@pytest.mark.parametrize("key", ["two words", "käse-0123456789", "line\nbreak", "tab\tbed"])
def test_a_key_that_no_header_can_hold_is_an_error_without_it(key: str) -> None:
    with pytest.raises(CTError, match="the key has blanks or characters outside ASCII") as error:
        CTClient(key)
    assert key not in str(error.value)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
def test_a_limit_must_be_positive(timeout: float) -> None:
    with pytest.raises(CTError, match="timeouts must be greater than 0"):
        CTClient(KEY, timeout=timeout)


def test_prompts_are_cached(loopback: Loopback) -> None:
    client = CTClient(KEY, loopback.url)
    loopback.answer(200, prompt(1))
    loopback.answer(200, prompt(7, OTHER))
    assert [client.get_prompt(TASK).version_number for _ in range(3)] == [1, 1, 1]
    assert client.get_prompt(OTHER).version_number == 7
    assert len(loopback.received) == 2


def test_the_cache_ends(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    client = CTClient(KEY, loopback.url, cache_ttl=60.0)
    loopback.answer(200, prompt(1))
    loopback.answer(200, prompt(2))
    client.get_prompt(TASK)
    now = time.monotonic()
    monkeypatch.setattr("pytest_kaizen.platforms.kaizen_ct.client.time.monotonic", lambda: now + 59)
    assert client.get_prompt(TASK).version_number == 1
    monkeypatch.setattr("pytest_kaizen.platforms.kaizen_ct.client.time.monotonic", lambda: now + 61)
    assert client.get_prompt(TASK).version_number == 2


def test_activation_drops_the_cache_of_its_task_alone(loopback: Loopback) -> None:
    client = CTClient(KEY, loopback.url)
    loopback.answer(200, prompt(1))
    loopback.answer(200, prompt(1))
    loopback.answer(200, prompt(7, OTHER))
    for task in (TASK, "by-name", OTHER):
        client.get_prompt(task)
    loopback.answer(200, prompt(2))
    loopback.answer(200, prompt(2))
    loopback.answer(200, prompt(2))
    assert client.activate_prompt(TASK, "v2").version_number == 2
    assert client.get_prompt(TASK).version_number == 2
    assert client.get_prompt("by-name").version_number == 2
    assert client.get_prompt(OTHER).version_number == 7
    assert len(loopback.received) == 6


def test_a_failed_activation_drops_the_cache_too(loopback: Loopback) -> None:
    client = CTClient(KEY, loopback.url)
    loopback.answer(200, prompt(1))
    client.get_prompt(TASK)
    loopback.answer(404, "{}")
    with pytest.raises(CTError):
        client.activate_prompt(TASK, "v2")
    loopback.answer(200, prompt(2))
    assert client.get_prompt(TASK).version_number == 2


@pytest.mark.asyncio
async def test_a_prompt_under_way_while_another_is_activated_is_not_cached(loopback: Loopback) -> None:
    loop, arrived, released = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def late(peer: socket.socket) -> None:
        loop.call_soon_threadsafe(arrived.set)
        released.wait(10)
        body = prompt(1)
        peer.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    loopback.then(late)
    loopback.answer(200, prompt(2))
    loopback.answer(200, prompt(2))
    async with AsyncCTClient(KEY, loopback.url) as client:
        fetching = asyncio.create_task(client.get_prompt(TASK))
        await arrived.wait()
        await client.activate_prompt(TASK, "v2")
        released.set()
        assert (await fetching).version_number == 1
        assert (await client.get_prompt(TASK)).version_number == 2


def test_without_a_ttl_nothing_is_cached(loopback: Loopback) -> None:
    client = CTClient(KEY, loopback.url, cache_ttl=0.0)
    loopback.answer(200, prompt(1))
    loopback.answer(200, prompt(2))
    assert [client.get_prompt(TASK).version_number for _ in range(2)] == [1, 2]


def test_a_stopped_loop_starts_anew() -> None:
    async def answer() -> int:
        return 42

    background = BackgroundLoop()
    assert background.run(answer()) == 42
    first = background.loop
    background.stop()
    background.stop()
    assert first.is_closed()
    assert background.run(answer()) == 42
    assert background.loop is not first
    background.stop()
