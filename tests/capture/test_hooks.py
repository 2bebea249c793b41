"""What the hooks leave as it was, and what they catch."""

from __future__ import annotations

import gzip
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import httpx2
import pytest

from pytest_kaizen.capture import Capture, Recorder, recording
from pytest_kaizen.config import DEFAULT_ENDPOINTS, Endpoint

if TYPE_CHECKING:
    from tests.capture.conftest import Wire

ASK: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
PATCHED = (
    (httpx.Client, "send"),
    (httpx.AsyncClient, "send"),
    (httpx2.Client, "send"),
    (httpx2.AsyncClient, "send"),
    (threading.Thread, "start"),
    (ThreadPoolExecutor, "submit"),
)


def no_price(_model: str, _usage: Any) -> None:
    return None


def test_uninstall_puts_everything_back() -> None:
    before = [vars(owner)[name] for owner, name in PATCHED]
    finders = list(sys.meta_path)
    capture = Capture(DEFAULT_ENDPOINTS, price=no_price)
    capture.install()
    capture.install()
    assert all(vars(owner)[name] is not old for (owner, name), old in zip(PATCHED, before, strict=True))
    capture.uninstall()
    capture.uninstall()
    assert [vars(owner)[name] for owner, name in PATCHED] == before
    assert sys.meta_path == finders


def test_a_later_patch_of_somebody_else_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    original = vars(httpx.Client)["send"]
    capture = Capture(DEFAULT_ENDPOINTS, price=no_price)
    capture.install()
    ours = vars(httpx.Client)["send"]

    def theirs(*args: Any, **kwargs: Any) -> Any:
        return ours(*args, **kwargs)

    monkeypatch.setattr(httpx.Client, "send", theirs)
    capture.uninstall()
    assert vars(httpx.Client)["send"] is theirs
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    with recording(Recorder()) as recorder, httpx.Client(transport=transport) as client:
        client.post("http://x/v1/messages", json=ASK)
    assert recorder.close() == []
    monkeypatch.setattr(httpx.Client, "send", original)


def test_an_alias_is_patched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = ModuleType("httpx2")
    mixture.Client = httpx.Client  # type: ignore[attr-defined]
    mixture.AsyncClient = type("AsyncClient", (httpx.AsyncClient,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "httpx2", mixture)
    capture = Capture(DEFAULT_ENDPOINTS, price=no_price)
    capture.install()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    try:
        with recording(Recorder()) as recorder:
            with httpx.Client(transport=transport) as client:
                client.post("http://x/v1/messages", json=ASK)
            assert "send" not in vars(mixture.AsyncClient)
    finally:
        capture.uninstall()
    assert len(recorder.spans) == 1


def test_the_innermost_capture_records_alone(capture: Capture) -> None:
    hook = vars(httpx.Client)["send"]
    inner = Capture(DEFAULT_ENDPOINTS, price=lambda *_: 7.0)
    inner.install()
    usage = {"input_tokens": 1, "output_tokens": 1}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"model": "m", "usage": usage}))
    with recording(Recorder()) as recorder, httpx.Client(transport=transport) as client:
        client.post("http://x/v1/messages", json=ASK)
        inner.uninstall()
        client.post("http://x/v1/messages", json=ASK)
    assert [span.cost_usd for span in recorder.spans] == [7.0, pytest.approx(1e-6)]
    assert vars(httpx.Client)["send"] is hook
    assert capture is not inner


def test_libraries_that_are_imported_later() -> None:
    script = """
        import sys
        from pytest_kaizen.capture import Capture, Recorder, recording
        from pytest_kaizen.config import DEFAULT_ENDPOINTS
        capture = Capture(DEFAULT_ENDPOINTS, price=lambda model, usage: None)
        capture.install()
        assert not {"httpx", "httpx2", "anthropic"} & set(sys.modules), "imported by us"
        import httpx, httpx2
        assert "exec_module" not in vars(httpx.__spec__.loader)
        for library in (httpx, httpx2):
            transport = library.MockTransport(lambda request: library.Response(200, json={"model": "m"}))
            with recording(Recorder()) as recorder, library.Client(transport=transport) as client:
                client.post("http://x/v1/messages", json={"model": "m"})
            assert [span.model for span in recorder.spans] == ["m"], library
        capture.uninstall()
        assert not hasattr(httpx.Client.send, "__wrapped__")
        print("seen")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("seen\n", "")


def test_nothing_is_done_without_a_recorder(wire: Wire, capture: Capture) -> None:
    wire.sse(*wire.message_events("Hi"))
    with httpx.stream("POST", f"{wire.url}/v1/messages", json=ASK) as response:
        assert type(response.stream).__name__ == "BoundSyncStream"
        response.read()
    assert capture is not None


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("compressed", [False, True])
def test_the_response_is_unchanged(wire: Wire, capture: Capture, library: Any, compressed: bool) -> None:
    body = b"".join(wire.message_events("Grüße"))
    payload = gzip.compress(body) if compressed else body
    pieces = [payload[i : i + 11] for i in range(0, len(payload), 11)]

    def ask() -> list[Any]:
        seen: list[Any] = []
        with library.Client() as client:
            for how in ("iter_raw", "iter_bytes", "read", "iter_lines"):
                wire.sse(*pieces, encoding="gzip" if compressed else "")
                with client.stream("POST", f"{wire.url}/v1/messages", json=ASK) as response:
                    got = getattr(response, how)()
                    seen.append(
                        got if how == "read" else "".join(got) if how == "iter_lines" else b"".join(got)
                    )
                assert response.elapsed.total_seconds() > 0
                assert response.is_closed
                assert response.is_stream_consumed
                seen += [response.num_bytes_downloaded, response.http_version, response.status_code]
        return seen

    plain = ask()
    with recording(Recorder()) as recorder:
        recorded = ask()
    assert recorded == plain
    assert [span.text for span in recorder.spans] == ["Grüße"] * 4
    assert capture is not None


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_plain_calls_of_both_libraries(wire: Wire, recorder: Recorder, library: Any) -> None:
    wire.json(wire.message("Sync"))
    response = library.post(f"{wire.url}/v1/messages", json=ASK, headers={"x-api-key": "secret-key-1"})
    assert response.json()["content"][0]["text"] == "Sync"
    assert response.elapsed.total_seconds() > 0

    async def main() -> None:
        async with library.AsyncClient() as client:
            wire.json(wire.message("Async"))
            await client.post(f"{wire.url}/v1/messages", json=ASK)
            wire.sse(*wire.message_events("Str", "eam"))
            async with client.stream("POST", f"{wire.url}/v1/messages", json=ASK) as streamed:
                async for _ in streamed.aiter_lines():
                    pass
                assert streamed.elapsed.total_seconds() > 0

    anyio.run(main)
    assert [span.text for span in recorder.spans] == ["Sync", "Async", "Stream"]
    assert recorder.secrets == {"secret-key-1"}


def test_a_body_that_is_a_stream_is_seen(wire: Wire, recorder: Recorder) -> None:
    def body() -> Any:
        yield b'{"model": "m", "messages": '
        yield b'[{"role": "user", "content": "In pieces"}]}'

    wire.json(wire.message("Ok"))
    httpx.post(f"{wire.url}/v1/messages", content=body())
    assert wire.requests[0][2].startswith(b'{"model": "m", "messages": [')
    assert recorder.spans[0].input[0].text == "In pieces"


def test_in_process_applications_are_left_out(recorder: Recorder) -> None:
    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("content-type", "application/json")])
        return [b"{}"]

    with httpx.Client(transport=httpx.WSGITransport(app=app)) as client:
        assert client.post("http://x/v1/messages", json=ASK).json() == {}
    assert recorder.close() == []


@pytest.mark.parametrize("stream", [False, True])
def test_mock_transports_count(recorder: Recorder, stream: bool) -> None:
    body = {"model": "mock", "content": [{"type": "text", "text": "Mocked"}]}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=body))
    with httpx2.Client(transport=transport) as client:
        request = client.build_request("POST", "http://x/v1/messages", json=ASK)
        response = client.send(request, stream=stream)
        assert response.read() == response.content
        response.close()
    assert recorder.close()[0].text == "Mocked"


@pytest.mark.parametrize(
    ("method", "url", "api"),
    [
        ("POST", "https://api.anthropic.com/v1/messages", "anthropic.messages"),
        ("POST", "https://api.anthropic.com/v1/messages?beta=true", "anthropic.messages"),
        ("POST", "http://proxy.test/anthropic/v1/messages/", "anthropic.messages"),
        ("POST", "https://api.openai.com/v1/chat/completions", "openai.chat"),
        ("POST", "https://x.test/openai/deployments/g/chat/completions?api-version=1", "openai.chat"),
        ("POST", "https://api.openai.com/v1/responses", "openai.responses"),
        ("POST", "https://llm.corp.test/generate", "openai.chat"),
        ("POST", "https://other.test/generate", None),
        ("POST", "https://api.anthropic.com/v1/messages/count_tokens", None),
        ("POST", "https://api.anthropic.com/v1/messages/batches", None),
        ("POST", "https://api.openai.com/v1/responses/compact", None),
        ("POST", "https://forum.test/xv1/messages", None),
        ("POST", "https://forum.test/xxchat/completions", None),
        ("GET", "https://api.openai.com/v1/chat/completions", None),
    ],
)
def test_recognition(method: str, url: str, api: str | None) -> None:
    own = Endpoint(api="openai.chat", path="/generate", host="*.Corp.test", provider="corp")
    capture = Capture((own, *DEFAULT_ENDPOINTS), price=no_price)
    capture.install()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={}))
    try:
        with recording(Recorder()) as recorder, httpx.Client(transport=transport) as client:
            client.request(method, url)
    finally:
        capture.uninstall()
    assert [span.metadata["api"] for span in recorder.spans] == ([api] if api else [])
    if "corp" in url:
        assert recorder.spans[0].provider == "corp"
