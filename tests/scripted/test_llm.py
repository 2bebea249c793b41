from __future__ import annotations

import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import httpx
import openai
import pytest
from anthropic.types import MessageParam

from pytest_kaizen.errors import KaizenError, UsageError
from pytest_kaizen.scripted import Reply, Request, ScriptedLLM, ToolCall


def _post(llm: ScriptedLLM, text: str, *, system: str = "") -> httpx.Response:
    message = {"role": "user", "content": text}
    body = {"model": "m", "max_tokens": 9, "system": system, "messages": [message]}
    return httpx.post(f"{llm.url}/v1/messages", json=body)


def _ask(llm: ScriptedLLM, text: str) -> str:
    response = _post(llm, text)
    return str(response.json()["content"][0]["text"]) if response.is_success else str(response.status_code)


class TestWhichRuleAnswers:
    def test_part_of_the_last_user_text(self, llm: ScriptedLLM) -> None:
        llm.reply("A", when="refund")
        llm.reply("B", when="parcel")
        assert [_ask(llm, "my parcel"), _ask(llm, "a refund"), _ask(llm, "refund my parcel")] == [
            "B",
            "A",
            "A",
        ]

    def test_pattern(self, llm: ScriptedLLM) -> None:
        llm.reply("A", when=re.compile(r"order \d+"))
        llm.reply("B")
        assert [_ask(llm, "my order 66"), _ask(llm, "my order")] == ["A", "B"]

    def test_function_of_the_request(self, llm: ScriptedLLM) -> None:
        llm.reply("A", when=lambda request: request.system == "Be brief.")
        llm.reply("B")
        assert _post(llm, "x", system="Be brief.").json()["content"][0]["text"] == "A"
        assert _ask(llm, "x") == "B"

    def test_default_comes_last_wherever_it_was_added(self, llm: ScriptedLLM) -> None:
        llm.reply("default")
        llm.reply("special", when="special")
        assert [_ask(llm, "special"), _ask(llm, "else")] == ["special", "default"]

    def test_newer_rule_replaces_the_one_with_the_same_condition(self, llm: ScriptedLLM) -> None:
        llm.reply("old")
        llm.reply("old special", when="special")
        llm.reply("new")
        llm.reply("new special", when="special")
        assert [_ask(llm, "special"), _ask(llm, "else")] == ["new special", "new"]

    def test_rules_with_times_make_a_sequence(self, llm: ScriptedLLM) -> None:
        llm.reply("ever")
        llm.reply("one", times=1)
        llm.fail(503)
        llm.reply("two", times=2)
        assert [_ask(llm, "x") for _ in range(6)] == ["one", "503", "two", "two", "ever", "ever"]

    def test_rule_with_times_and_condition_waits_for_its_request(self, llm: ScriptedLLM) -> None:
        llm.reply("A", when="a", times=1)
        llm.reply("B", times=1)
        llm.reply("C")
        assert [_ask(llm, "x"), _ask(llm, "a"), _ask(llm, "a")] == ["B", "A", "C"]


class TestNothingScripted:
    def test_says_what_was_asked_and_what_to_do(self, llm: ScriptedLLM) -> None:
        llm.reply("A", when="refund")
        llm.reply("B", times=1)
        _ask(llm, "x")
        response = _post(llm, "Where is my parcel?", system="Be kind.")
        assert response.status_code == 400
        assert response.json()["error"]["message"] == (
            "nothing is scripted for this anthropic.messages request (model m, system 'Be kind.', last user "
            "text 'Where is my parcel?'). No rule matched: when='refund'. Rules used up: 1. Script an answer "
            "with reply('...'), or reply('...', when='part of the last user text')."
        )
        assert [request.last_user_text for request in llm.requests] == ["x", "Where is my parcel?"]

    def test_no_sdk_retries_it(
        self, llm: ScriptedLLM, claude: anthropic.Anthropic, gpt: openai.OpenAI
    ) -> None:
        ask: Any = [{"role": "user", "content": "x"}]
        with pytest.raises(anthropic.BadRequestError, match="nothing is scripted"):
            claude.messages.create(model="m", max_tokens=9, messages=ask)
        with pytest.raises(openai.BadRequestError, match="There is no rule"):
            gpt.chat.completions.create(model="m", messages=ask)
        assert len(llm.requests) == 2

    def test_long_texts_are_shortened(self, llm: ScriptedLLM) -> None:
        message = _post(llm, "y" * 10_000).json()["error"]["message"]
        assert len(message) < 500

    @pytest.mark.parametrize(("method", "path"), [("GET", "/v1/messages"), ("POST", "/v1/embeddings")])
    def test_unknown_address(self, llm: ScriptedLLM, method: str, path: str) -> None:
        response = httpx.request(method, llm.url + path)
        assert response.status_code == 404
        assert response.json()["error"]["message"] == (
            f"no {method} {path} here: this scripted server answers POST to /v1/messages, "
            "/v1/messages/count_tokens, /chat/completions, /responses"
        )


class TestSimulator:
    def test_may_return_text_or_a_reply(self, llm: ScriptedLLM) -> None:
        def _model(request: Request) -> str | Reply:
            if "cut" in request.last_user_text:
                return Reply(text="cu", stop_reason="max_tokens")
            return request.last_user_text.upper()

        llm.reply(_model)
        assert _ask(llm, "hello") == "HELLO"
        assert _post(llm, "cut").json()["stop_reason"] == "max_tokens"

    def test_that_raises_is_a_400_that_says_so(self, llm: ScriptedLLM) -> None:
        llm.reply(lambda request: request.headers["no such header"])
        response = _post(llm, "x")
        assert response.status_code == 400
        assert "the script's own function raised KeyError: 'no such header'" in response.text

    def test_that_returns_something_else_is_a_400_that_says_so(self, llm: ScriptedLLM) -> None:
        llm.reply(lambda _request: 3)  # type: ignore[arg-type, return-value]
        assert "expected a str or a Reply, got int" in _post(llm, "x").text


class TestFailures:
    @pytest.mark.parametrize("status", [408, 429, 500, 529])
    def test_sdks_retry_quickly(
        self,
        llm: ScriptedLLM,
        claude: anthropic.Anthropic,
        gpt: openai.OpenAI,
        status: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        waits: list[float] = []
        ours, sleep = threading.current_thread(), time.sleep

        def wait(seconds: float) -> None:
            if threading.current_thread() is ours:
                waits.append(seconds)
            sleep(seconds)

        monkeypatch.setattr(time, "sleep", wait)
        ask: Any = [{"role": "user", "content": "x"}]
        for call in (
            lambda: claude.messages.create(model="m", max_tokens=9, messages=ask),
            lambda: gpt.chat.completions.create(model="m", messages=ask),
        ):
            llm.fail(status, times=2)
            llm.reply("at last", times=1)
            call()
        retries = [request.headers["x-stainless-retry-count"] for request in llm.requests]
        assert retries == ["0", "1", "2"] * 2
        # By itself an SDK waits half a second and more.
        assert len(waits) == 4
        assert max(waits) < 0.1

    def test_retry_after_is_sent(self, llm: ScriptedLLM) -> None:
        llm.fail(429, retry_after=2.5)
        headers = _post(llm, "x").headers
        assert (headers["retry-after"], headers["retry-after-ms"]) == ("2.5", "2500")

    def test_only_for_some_requests(self, llm: ScriptedLLM) -> None:
        llm.reply("ok")
        llm.fail(400, when="bomb", times=None)
        assert [_ask(llm, text) for text in ("x", "bomb", "bomb", "x")] == ["ok", "400", "400", "ok"]

    def test_disconnect(self, llm: ScriptedLLM) -> None:
        llm.fail(disconnect=True)
        llm.reply("back")
        with pytest.raises(httpx.RemoteProtocolError, match="disconnected"):
            _post(llm, "x")
        assert _ask(llm, "x") == "back"
        assert len(llm.requests) == 2

    def test_sdk_retries_a_disconnect(self, llm: ScriptedLLM) -> None:
        llm.fail(disconnect=True)
        llm.reply("back")
        with anthropic.Anthropic(base_url=llm.url, api_key="x") as client:
            client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}])
        assert len(llm.requests) == 2


class TestLatency:
    def test_answer_and_failure_wait(self, llm: ScriptedLLM) -> None:
        llm.fail(500, latency_s=0.1)
        llm.reply("ok", latency_s=0.1)
        for expected in ("500", "ok"):
            started = time.perf_counter()
            assert _ask(llm, "x") == expected
            assert time.perf_counter() - started >= 0.1

    def test_client_times_out(self, llm: ScriptedLLM) -> None:
        llm.reply("late", latency_s=30)
        with (
            anthropic.Anthropic(base_url=llm.url, api_key="x", timeout=0.1, max_retries=0) as client,
            pytest.raises(anthropic.APITimeoutError),
        ):
            client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}])

    def test_stop_does_not_wait_for_it(self) -> None:
        with ScriptedLLM() as llm:
            llm.reply("late", latency_s=600)
            url = f"{llm.url}/v1/messages"
            body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(url, json=body, timeout=0.05)
            started = time.perf_counter()
        assert time.perf_counter() - started < 300


class TestLifeCycle:
    def test_leaves_no_thread_and_no_port(self) -> None:
        before = set(threading.enumerate())
        with httpx.Client() as client:
            with ScriptedLLM() as llm:
                client.get(llm.url)
                port = int(llm.url.rpartition(":")[2])
                ours = set(threading.enumerate()) - before
                assert len(ours) == 2
            # The client still holds its connection open.
            assert not any(thread.is_alive() for thread in ours)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)

    def test_url_of_a_stopped_server(self) -> None:
        llm = ScriptedLLM()
        with pytest.raises(KaizenError, match=r"not running: call start\(\)"):
            _ = llm.url

    def test_starts_and_stops_twice(self) -> None:
        llm = ScriptedLLM()
        llm.reply("ok")
        assert llm.start() is llm.start()
        assert _ask(llm, "x") == "ok"
        llm.stop()
        llm.stop()
        with llm:
            assert _ask(llm, "x") == "ok"

    def test_environ(self, llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        assert llm.environ == {
            "ANTHROPIC_BASE_URL": llm.url,
            "ANTHROPIC_API_KEY": "scripted",
            "OPENAI_BASE_URL": f"{llm.url}/v1",
            "OPENAI_API_KEY": "scripted",
        }

    def test_environ_leads_both_sdks_here_past_a_proxy(
        self, llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "example.org")
        monkeypatch.delenv("no_proxy", raising=False)
        for name, value in llm.environ.items():
            monkeypatch.setenv(name, value)
        assert llm.environ["NO_PROXY"].startswith("example.org,")
        llm.reply("ok")
        ask: Any = [{"role": "user", "content": "x"}]
        with anthropic.Anthropic(max_retries=0) as claude, openai.OpenAI(max_retries=0) as gpt:
            claude.messages.create(model="m", max_tokens=9, messages=ask)
            gpt.chat.completions.create(model="m", messages=ask)
            gpt.responses.create(model="m", input="x")
        apis = [request.api for request in llm.record]
        assert apis == ["anthropic.messages", "openai.chat", "openai.responses"]


def test_64_connections_at_once_get_their_own_answers(llm: ScriptedLLM) -> None:
    llm.reply(lambda request: f"answer to {request.last_user_text}")
    llm.reply("one of ten", when="limited", times=10)
    together = threading.Barrier(64)

    def _talk(number: int) -> list[str]:
        together.wait(30)
        answers = []
        for turn in range(5):
            text = f"limited {number} {turn}"
            messages: list[MessageParam] = [{"role": "user", "content": text}]
            with client.messages.stream(model="m", max_tokens=9, messages=messages) as stream:
                answers.append(stream.get_final_text().replace(text, "mine"))
        return answers

    with (
        anthropic.Anthropic(base_url=llm.url, api_key="x", max_retries=0) as client,
        ThreadPoolExecutor(64) as pool,
    ):
        answers = [answer for talk in pool.map(_talk, range(64)) for answer in talk]
    assert sorted(set(answers)) == ["answer to mine", "one of ten"]
    assert answers.count("one of ten") == 10
    assert len(llm.requests) == 320


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({}, "nothing to answer"),
        ({"text": "a", "json": {}}, "give one of text, json and chunks"),
        ({"text": "a", "times": 0}, "times must be at least 1"),
        ({"text": str, "latency_s": 1.0}, "a function makes the whole reply"),
    ],
)
def test_reply_refuses(llm: ScriptedLLM, arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        llm.reply(**arguments)


def test_fail_refuses(llm: ScriptedLLM) -> None:
    with pytest.raises(UsageError, match=r"400 to 599 \(found 200\)"):
        llm.fail(200)
    with pytest.raises(UsageError, match="times must be at least 1"):
        llm.fail(500, times=0)


def test_reply_and_tool_call_check_themselves() -> None:
    with pytest.raises(UsageError, match="the chunks of a reply, joined"):
        Reply(text="ab", chunks=["a", "c"])
    with pytest.raises(UsageError, match="arguments of tool call 'weather' are not JSON"):
        ToolCall("weather", {"when": object()})
