from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.errors import BudgetExceeded, LLMError
from pytest_kaizen.llm import AnthropicLLM, LLMRequest
from pytest_kaizen.models import Usage
from pytest_kaizen.prices import ModelPrice, Prices, PriceTable

KEY = "sk-ant-very-secret-key"
MODEL = "claude-haiku-4-5"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def message(text: str = "hello", *, stop_reason: str = "end_turn", **usage: int) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": text},
        ],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5, **usage},
    }


def error(kind: str, text: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": text}}


@dataclass
class Provider:
    """A local server that answers with what was put in, the last answer for ever."""

    url: str = ""
    answers: list[tuple[int, Any]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hold: threading.Event | None = None

    def answer(self, body: Any, status: int = 200) -> None:
        self.answers.append((status, body))


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    state = Provider()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if state.hold is not None:
                state.hold.wait(60)
            with lock:
                state.bodies.append(body)
                state.headers.append({name.lower(): value for name, value in self.headers.items()})
                state.paths.append(self.path)
                status, reply = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
            data = reply.encode() if isinstance(reply, str) else json.dumps(reply).encode()
            try:
                self.send_response(status)
                self.send_header(
                    "content-type", "text/html" if isinstance(reply, str) else "application/json"
                )
                self.send_header("content-length", str(len(data)))
                self.send_header("retry-after-ms", "1")
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", state.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def prices() -> Prices:
    return Prices(PriceTable(models={MODEL: ModelPrice(input=1, output=5, cache_read=0.1, cache_write=1.25)}))


@pytest.fixture
def llm(provider: Provider, prices: Prices) -> Iterator[AnthropicLLM]:
    assert provider.url
    llm = AnthropicLLM(prices, timeout_s=60)
    yield llm
    llm.close()


def request(**changes: Any) -> LLMRequest:
    values: dict[str, Any] = {"model": MODEL, "system": "be brief", "prompt": "hi", "max_tokens": 64}
    return LLMRequest(**{**values, **changes})


def test_a_plain_question(llm: AnthropicLLM, provider: Provider) -> None:
    provider.answer(message("hello there"))
    completion = llm.complete(request())
    assert completion.text == "hello there"
    assert completion.data is None
    assert completion.model == "claude-haiku-4-5-20251001"
    assert completion.usage == Usage(input_tokens=10, output_tokens=5)
    assert completion.cost_usd == pytest.approx((10 * 1 + 5 * 5) / 1e6)
    assert provider.paths == ["/v1/messages"]
    assert provider.bodies == [
        {
            "model": MODEL,
            "max_tokens": 64,
            "system": "be brief",
            "messages": [{"role": "user", "content": "hi"}],
        }
    ]


def test_a_schema_asks_for_structured_output_and_parses_it(llm: AnthropicLLM, provider: Provider) -> None:
    provider.answer(message('{"a": 1}'))
    completion = llm.complete(request(schema=SCHEMA, system=""))
    assert completion.data == {"a": 1}
    assert provider.bodies[0]["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert "system" not in provider.bodies[0]
    assert "temperature" not in provider.bodies[0]


def test_an_answer_that_is_not_json_has_no_data(llm: AnthropicLLM, provider: Provider) -> None:
    provider.answer(message("Sure! a is 1."))
    completion = llm.complete(request(schema=SCHEMA))
    assert completion.data is None
    assert completion.text == "Sure! a is 1."


def test_cached_tokens_are_part_of_the_input(llm: AnthropicLLM, provider: Provider) -> None:
    provider.answer(message(cache_read_input_tokens=100, cache_creation_input_tokens=20))
    completion = llm.complete(request())
    assert completion.usage == Usage(
        input_tokens=130, output_tokens=5, cache_read_tokens=100, cache_write_tokens=20
    )
    assert completion.cost_usd == pytest.approx((10 + 100 * 0.1 + 20 * 1.25 + 5 * 5) / 1e6)


def test_calls_and_spend_are_metered_from_all_threads(llm: AnthropicLLM, provider: Provider) -> None:
    provider.answer(message())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: llm.complete(request()), range(40)))
    assert llm.calls == 40
    assert llm.spent_usd == pytest.approx(40 * 35 / 1e6)
    assert repr(llm) == "AnthropicLLM(calls=40, spent_usd=0.001400)"


def test_a_model_without_a_price_is_metered_without_a_cost(llm: AnthropicLLM, provider: Provider) -> None:
    provider.answer({**message(), "model": "another"})
    assert llm.complete(request(model="unpriced")).cost_usd is None
    assert (llm.calls, llm.spent_usd) == (1, 0.0)


def test_the_budget_stops_the_call_before_it_is_made(provider: Provider, prices: Prices) -> None:
    provider.answer(message())
    capped = AnthropicLLM(prices, timeout_s=60, budget_usd=40 / 1e6)
    capped.complete(request())
    capped.complete(request())
    with pytest.raises(BudgetExceeded) as caught:
        capped.complete(request())
    capped.close()
    assert str(caught.value) == "not called: $7e-05 of the budget of $4e-05 is spent"
    assert len(provider.bodies) == 2
    assert capped.calls == 2


def test_a_budget_cannot_be_kept_for_a_model_of_unknown_price(provider: Provider, prices: Prices) -> None:
    provider.answer(message())
    capped = AnthropicLLM(prices, budget_usd=1)
    with pytest.raises(LLMError, match="'unpriced' has no known price"):
        capped.complete(request(model="unpriced"))
    assert provider.bodies == []


@pytest.mark.parametrize(
    ("stop_reason", "text"),
    [
        ("refusal", f"{MODEL} refused to answer"),
        ("max_tokens", f"{MODEL}: the answer was cut at max_tokens=64; raise it"),
        ("model_context_window_exceeded", f"{MODEL}: the request does not fit the model's context window"),
    ],
)
def test_an_answer_that_is_not_whole_is_an_error_and_still_paid(
    llm: AnthropicLLM, provider: Provider, stop_reason: str, text: str
) -> None:
    provider.answer(message("{", stop_reason=stop_reason))
    with pytest.raises(LLMError) as caught:
        llm.complete(request())
    assert str(caught.value) == text
    assert llm.calls == 1
    assert llm.spent_usd == pytest.approx(35 / 1e6)


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (400, "invalid_request_error", f"{MODEL}: HTTP 400 invalid_request_error: bad thing"),
        (
            401,
            "authentication_error",
            f"{MODEL}: HTTP 401 authentication_error: bad thing; check ANTHROPIC_API_KEY",
        ),
        (404, "not_found_error", f"{MODEL}: HTTP 404 not_found_error: bad thing"),
    ],
)
def test_an_http_error_names_status_and_cause(
    llm: AnthropicLLM, provider: Provider, status: int, kind: str, text: str
) -> None:
    provider.answer(error(kind, "bad thing"), status)
    with pytest.raises(LLMError) as caught:
        llm.complete(request())
    assert str(caught.value) == text
    assert (caught.value.status, caught.value.transient) == (status, False)
    assert len(provider.bodies) == 1
    assert (llm.calls, llm.spent_usd) == (0, 0.0)


@pytest.mark.parametrize("status", [429, 500, 529])
def test_overload_is_retried(llm: AnthropicLLM, provider: Provider, status: int) -> None:
    provider.answer(error("overloaded_error", "later"), status)
    provider.answer(message("at last"))
    assert llm.complete(request()).text == "at last"
    assert len(provider.bodies) == 2


def test_retries_end(llm: AnthropicLLM, provider: Provider) -> None:
    provider.answer(error("rate_limit_error", "later"), 429)
    with pytest.raises(LLMError, match="HTTP 429 rate_limit_error: later") as caught:
        llm.complete(request())
    assert (caught.value.status, caught.value.transient) == (429, True)
    assert len(provider.bodies) == 3


def test_no_key_in_a_message(llm: AnthropicLLM, provider: Provider) -> None:
    provider.answer(error("authentication_error", f"the key {KEY} is not known " + "x" * 500), 401)
    with pytest.raises(LLMError) as caught:
        llm.complete(request())
    assert KEY in json.dumps(provider.headers)
    assert KEY not in str(caught.value)
    assert KEY not in repr(llm)
    assert "the key [ANTHROPIC_API_KEY] is not known" in str(caught.value)
    assert len(str(caught.value)) < 450


def test_a_missing_key_says_what_to_set(
    llm: AnthropicLLM,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    with pytest.raises(LLMError) as caught:
        llm.complete(request())
    assert str(caught.value) == f"no key for {MODEL}: set ANTHROPIC_API_KEY in the environment"
    assert caught.value.unsent
    assert provider.bodies == []


def test_a_timeout_is_said_in_seconds(provider: Provider, prices: Prices) -> None:
    provider.answer(message())
    provider.hold = threading.Event()
    hasty = AnthropicLLM(prices, timeout_s=1, max_retries=0)
    with pytest.raises(LLMError) as caught:
        hasty.complete(request())
    provider.hold.set()
    hasty.close()
    assert str(caught.value) == f"{MODEL}: no answer within 1 s"
    assert caught.value.transient


def test_whether_there_is_a_key(prices: Prices, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("API_KEY", "AUTH_TOKEN", "CONFIG_DIR", "PROFILE"):
        monkeypatch.delenv(f"ANTHROPIC_{name}", raising=False)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    llm = AnthropicLLM(prices)
    assert not llm.has_key()
    assert AnthropicLLM(prices, api_key=KEY).has_key()
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    assert llm.has_key()
    # Where the SDK has something to say about a profile, it is to be heard.
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN")
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    assert AnthropicLLM(prices).has_key()


def test_a_refused_connection(llm: AnthropicLLM, prices: Prices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    offline = AnthropicLLM(prices, max_retries=0)
    with pytest.raises(LLMError, match=rf"^{MODEL}: connection failed: .*refused"):
        offline.complete(request())
    offline.close()
    assert llm.calls == 0


@pytest.mark.parametrize("body", ["<html>Welcome</html>", {"choices": []}])
def test_a_server_that_speaks_something_else(llm: AnthropicLLM, provider: Provider, body: Any) -> None:
    provider.answer(body)
    with pytest.raises(LLMError, match="did not answer with a message of the Messages API"):
        llm.complete(request())


def test_a_new_base_url_is_obeyed(
    llm: AnthropicLLM, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.answer(message())
    llm.complete(request())
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"{provider.url}/elsewhere")
    llm.complete(request())
    assert provider.paths == ["/v1/messages", "/elsewhere/v1/messages"]


def test_one_client_serves_all_calls_until_it_is_closed(
    llm: AnthropicLLM, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    import anthropic

    made: list[float | None] = []
    original = anthropic.Anthropic

    def spy(*, api_key: str | None, timeout: float, max_retries: int) -> anthropic.Anthropic:
        made.append(timeout)
        return original(api_key=api_key, timeout=timeout, max_retries=max_retries)

    monkeypatch.setattr(anthropic, "Anthropic", spy)
    provider.answer(message())
    llm.complete(request())
    llm.complete(request())
    assert made == [60]
    llm.close()
    llm.close()
    llm.complete(request())
    assert made == [60, 60]


def test_the_sdk_is_not_imported_before_the_first_call() -> None:
    code = (
        "import sys\n"
        "from pytest_kaizen.llm import AnthropicLLM\n"
        "from pytest_kaizen.prices import load_prices\n"
        "AnthropicLLM(load_prices()); print('anthropic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_key_that_is_given_goes_before_the_environment_and_is_never_told(
    provider: Provider, prices: Prices
) -> None:
    given = "sk-ant-another-secret-key"
    provider.answer(message())
    provider.answer(error("invalid_request_error", f"odd: {given}"), 400)
    llm = AnthropicLLM(prices, api_key=given)
    llm.complete(LLMRequest(model=MODEL, system="", prompt="hi"))
    assert provider.headers[0]["authorization"] == f"Bearer {given}"
    with pytest.raises(LLMError, match=r"odd: \[ANTHROPIC_API_KEY\]"):
        llm.complete(LLMRequest(model=MODEL, system="", prompt="hi"))
    assert given not in repr(llm)
    llm.close()
