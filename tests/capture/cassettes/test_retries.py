"""An SDK's retries: replayed without its waiting, and timed as they were recorded."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

if TYPE_CHECKING:
    from tests.capture.cassettes.conftest import Deck
    from tests.capture.conftest import Wire

ASK: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
JSON = {"content-type": "application/json"}


@pytest.fixture
def sdk(wire: Wire) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=wire.url, api_key="dummy", max_retries=2) as client:
        yield client


def waits_of_this_thread(waits: list[float]) -> Callable[[float], None]:
    """Note for how long this thread would have slept; the server is in another."""
    ours = threading.current_thread()

    def sleep(seconds: float) -> None:
        if threading.current_thread() is ours:
            waits.append(seconds)

    return sleep


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
@pytest.mark.parametrize("delay", [{}, {"retry-after": "7"}, {"retry-after-ms": "7000"}])
def test_an_sdk_does_not_wait_before_a_retry_that_is_replayed(
    deck: Deck, wire: Wire, monkeypatch: pytest.MonkeyPatch, provider: str, delay: dict[str, str]
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits_of_this_thread(waits))
    for _ in range(2):
        wire.json({"error": {"message": "Too many"}}, status=429, **delay)
    wire.json(wire.message("at last"))

    def body() -> None:
        if provider == "anthropic":
            with anthropic.Anthropic(base_url=wire.url, api_key="dummy") as client:
                client.messages.create(**ASK)
        else:
            with openai.OpenAI(base_url=f"{wire.url}/v1", api_key="dummy") as other:
                other.chat.completions.create(**ASK)

    deck.run("new", body)
    assert len(waits) == 2
    assert min(waits) >= (7 if delay else 0.3)
    del waits[:]
    deck.run("replay", body)
    assert waits == [0.001, 0.001]
    assert [attempt.status for attempt in deck.spans[0].attempts] == [429, 429, 200]
    assert [exchange["response"]["headers"].get("retry-after") for exchange in deck.exchanges] == [
        delay.get("retry-after"),
        delay.get("retry-after"),
        None,
    ]


def test_a_stream_that_was_refused_at_first(
    deck: Deck, wire: Wire, sdk: anthropic.Anthropic, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"retry-after-ms": "200"}
    wire.json({"error": {"message": "Too many"}}, status=429, **headers)
    wire.sse(*wire.message_events("at", " last"))

    def body() -> list[str]:
        return [event.type for event in sdk.messages.create(**ASK, stream=True)]

    (recorded,) = deck.run("new", body)
    before = deck.spans[0].latency_ms
    assert before is not None
    assert before >= 200
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits_of_this_thread(waits))
    assert deck.run("replay", body) == [recorded]
    assert waits == [0.001]
    assert deck.spans[0].text == "at last"
    assert deck.spans[0].latency_ms == pytest.approx(before, abs=0.5)


def test_the_pause_before_a_retry_counts_as_recorded(
    deck: Deck, wire: Wire, sdk: anthropic.Anthropic
) -> None:
    wire.json({}, status=529)
    wire.raw(wire.answer(drop=True))
    wire.json(wire.message("at last"))
    deck.run("new", lambda: sdk.messages.create(**ASK))
    first, second, last = deck.exchanges
    assert min(first["pause_ms"], second["pause_ms"]) > 100
    assert "pause_ms" not in last
    recorded = deck.spans[0].latency_ms
    deck.run("replay", lambda: sdk.messages.create(**ASK))
    assert deck.spans[0].latency_ms == pytest.approx(recorded, abs=0.5)


def test_a_failure_that_the_sdk_did_not_try_again_says_what_it_said(deck: Deck, wire: Wire) -> None:
    headers = {"retry-after": "300"}
    wire.json({"error": {"message": "Too many"}}, status=429, **headers)
    wire.json({"choices": []})

    def body() -> Any:
        with openai.OpenAI(base_url=f"{wire.url}/v1", api_key="dummy") as client:
            with pytest.raises(openai.RateLimitError) as caught:
                client.chat.completions.create(**ASK)
            client.chat.completions.create(**ASK)
        response = caught.value.response
        return response.headers["retry-after"], response.headers.get("retry-after-ms")

    for mode in ("new", "replay"):
        assert deck.run(mode, body) == [("300", None)]
        assert [len(span.attempts) for span in deck.spans] == [1, 1]


def test_a_retry_that_is_new_is_timed_by_itself(deck: Deck, wire: Wire, sdk: anthropic.Anthropic) -> None:
    wire.json({}, status=529)
    wire.raw(wire.answer(200, (json.dumps(wire.message("at last")).encode(),), JSON, delay_s=0.1))

    def refused() -> None:
        with pytest.raises(anthropic.APIStatusError):
            sdk.with_options(max_retries=0).messages.create(**ASK)

    deck.run("new", refused)
    (exchange,) = deck.exchanges
    slow = deck.text.replace(f'"latency_ms": {exchange["latency_ms"]}', '"latency_ms": 60000')
    deck.path.write_text(slow, encoding="utf-8")
    deck.run("new", lambda: sdk.messages.create(**ASK))
    replayed, live = deck.spans[0].attempts
    assert replayed.latency_ms == 60000
    assert live.latency_ms is not None
    assert 100 <= live.latency_ms < 30000
    assert deck.spans[0].latency_ms is not None
    assert deck.spans[0].latency_ms > 60100
    assert deck.exchanges[1]["latency_ms"] == pytest.approx(live.latency_ms, abs=0.1)
