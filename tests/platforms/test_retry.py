"""When calls are made again, and after how long."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from pytest_kaizen.platforms import exchange

NOW = datetime(2026, 3, 30, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("3", 3.0),
        (" 120 ", 120.0),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("Mon, 30 Mar 2026 10:01:30 GMT", 90.0),
        ("Mon, 30 Mar 2026 09:00:00 GMT", 0.0),
        ("Mon, 30 Mar 2026 10:00:05 -0000", 5.0),
        ("9" * 400, 86_400.0),
        ("Mon, 30 Mar 9999 10:01:30 GMT", 86_400.0),
        ("Mon, 30 Mar 99999999999 10:01:30 GMT", None),
        ("Mon, 99 Mar 2026 10:01:30 GMT", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert exchange.parse_retry_after(header, NOW) == seconds


def test_pauses_grow_and_vary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_FIRST_PAUSE_S", 0.5)
    for attempt, longest in ((1, 0.5), (2, 1.0)):
        pauses = [exchange.pause_s(attempt, None) for _ in range(100)]
        assert all(longest / 2 <= pause <= longest for pause in pauses)
        assert len(set(pauses)) > 50


def test_a_wait_that_was_asked_for_is_never_cut_short() -> None:
    pauses = [exchange.pause_s(1, 10.0) for _ in range(100)]
    assert all(10.0 <= pause <= 11.0 for pause in pauses)
    assert len(set(pauses)) > 50


def test_a_seeded_test_draws_the_same_numbers() -> None:
    random.seed(7)
    expected = [random.random() for _ in range(2)]
    random.seed(7)
    drawn = [random.random()]
    exchange.pause_s(1, None)
    exchange.new_idempotency_key()
    assert [*drawn, random.random()] == expected


@pytest.mark.parametrize(
    ("call", "repeatable"),
    [
        (exchange.Call("GET", "/"), True),
        (exchange.Call("PATCH", "/"), True),
        (exchange.Call("DELETE", "/"), True),
        (exchange.Call("POST", "/"), False),
        (exchange.Call("POST", "/", idempotency_key="k"), True),
        (exchange.Call("POST", "/", idempotency_key="k", once=True), False),
    ],
)
def test_what_may_be_sent_twice(call: exchange.Call, repeatable: bool) -> None:
    assert call.repeatable is repeatable
