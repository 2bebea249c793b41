from __future__ import annotations

import pytest

from pytest_kaizen.server import state
from pytest_kaizen.server.dispatch import ClientGoneError, read_body
from pytest_kaizen.server.problem import Refusal
from pytest_kaizen.server.state import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def taken(rate: RateLimit, key: str) -> int:
    count = 0
    while True:
        try:
            rate.take(key)
        except Refusal:
            return count
        count += 1


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    clock = Clock()
    rate = RateLimit(5, clock)
    assert taken(rate, "a") == 10
    assert taken(rate, "b") == 10
    clock.now += 1
    assert taken(rate, "a") == 5
    clock.now += 60
    assert taken(rate, "a") == 10


def test_when_the_next_is_taken() -> None:
    clock = Clock()
    rate = RateLimit(0.25, clock)
    rate.take("a")
    clock.now += 1
    with pytest.raises(Refusal, match=r"this key may make 0\.25 requests a second") as caught:
        rate.take("a")
    assert caught.value.headers == {"Retry-After": "3"}
    clock.now += 3
    rate.take("a")


def test_keys_that_rest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_MOST_ALLOWANCES", 3)
    clock = Clock()
    rate = RateLimit(1, clock)
    for key in "abc":
        rate.take(key)
    clock.now += 0.5
    assert taken(rate, "a") == 1
    clock.now += 1
    rate.take("d")
    assert set(rate._left) == {"a", "d"}


@pytest.mark.asyncio
async def test_a_client_that_goes_away() -> None:
    messages: list[dict[str, object]] = [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    with pytest.raises(ClientGoneError):
        await read_body(receive, 100)
