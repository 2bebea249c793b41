"""README's table "What is captured how", row by row."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import aiohttp
import aiohttp.web
import anthropic
import botocore.session  # type: ignore[import-untyped]
import httpx
import httpx2
import openai
import pytest
import requests

from pytest_kaizen import instrument
from pytest_kaizen.capture import Capture, Recorder, recording
from pytest_kaizen.config import Endpoint

if TYPE_CHECKING:
    from tests.capture.conftest import Wire

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
TABLE = README.partition("### What is captured how\n\n")[2].partition("\n\n")[0]
OTEL_EXAMPLE = README.partition("### OpenTelemetry\n")[2].partition("```python\n")[2].partition("```")[0]
ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def clients(wire: Wire, recorder: Recorder) -> None:
    wire.echo = True

    async def main(library: Any) -> None:
        async with library.AsyncClient() as client:
            await client.post(f"{wire.url}/v1/messages", json=ASKED)
            async with client.stream(
                "POST", f"{wire.url}/v1/messages", json={**ASKED, "stream": True}
            ) as answer:
                await answer.aread()

    with anthropic.Anthropic(api_key="k", base_url=wire.url) as sdk:
        sdk.messages.create(**ASKED, max_tokens=9)
        list(sdk.messages.create(**ASKED, max_tokens=9, stream=True))
    for library in (httpx, httpx2):
        asyncio.run(main(library))
    assert [span.text for span in recorder.close()] == ["echo hi"] * 6
    wire.echo = False
    wire.json({"model": "m", "choices": [{"message": {"role": "assistant", "content": "chat"}}]})
    content = [{"type": "output_text", "text": "response", "annotations": []}]
    wire.json(
        {"object": "response", "output": [{"type": "message", "role": "assistant", "content": content}]}
    )
    with openai.OpenAI(api_key="k", base_url=f"{wire.url}/v1") as other:
        other.chat.completions.create(**ASKED)
        other.responses.create(model="m", input="hi")
    assert [span.text for span in recorder.close()[6:]] == ["chat", "response"]


def other_hosts(wire: Wire, recorder: Recorder) -> None:
    wire.echo = True
    own = Capture([Endpoint(api="anthropic.messages", path="/house/ask")], price=lambda *_: None)
    with httpx.Client() as client:
        client.post(f"{wire.url}/house/ask", json=ASKED)
        client.post(f"{wire.url}/proxy/of/v1/messages", json=ASKED)
        assert len(recorder.close()) == 1
        own.install()
        client.post(f"{wire.url}/house/ask", json=ASKED)
        own.uninstall()
    assert len(recorder.close()) == 2


def retries(wire: Wire, recorder: Recorder) -> None:
    wire.json({"error": {"message": "later"}}, 429, **{"retry-after": "0"})
    wire.json(wire.message("now"))
    with anthropic.Anthropic(api_key="k", base_url=wire.url) as client:
        client.messages.create(**ASKED, max_tokens=9)
    (span,) = recorder.close()
    assert [attempt.status for attempt in span.attempts] == [429, 200]


def threads_and_tasks(wire: Wire, recorder: Recorder) -> None:
    wire.echo = True
    with httpx.Client() as client:
        thread = threading.Thread(
            target=client.post, args=(f"{wire.url}/v1/messages",), kwargs={"json": ASKED}
        )
        thread.start()
        thread.join()

    async def main() -> None:
        async with httpx.AsyncClient() as client:
            await asyncio.create_task(client.post(f"{wire.url}/v1/messages", json=ASKED))

    asyncio.run(main())
    assert len(recorder.close()) == 2


def images(wire: Wire, recorder: Recorder) -> None:
    wire.json(wire.message("a cat"))
    picture = b"\x89PNG" * 300
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(picture).decode()}
    body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}
    httpx.post(f"{wire.url}/v1/messages", json=body)
    (span,) = recorder.close()
    part = span.input[0].parts[0].model_dump()
    assert (part["type"], part["sha256"], part["size"]) == ("blob", hashlib.sha256(picture).hexdigest(), 1200)
    assert source["data"][:40] not in span.model_dump_json()


def functions(wire: Wire, recorder: Recorder) -> None:
    wire.echo = True
    litellm: Any = ModuleType("litellm")

    def through_httpx(**request: Any) -> Any:
        return httpx.post(f"{wire.url}/v1/messages", json=request).json()

    litellm.completion = through_httpx
    instrument(litellm).completion(**ASKED)
    assert instrument(str.upper)("hi") == "HI"
    assert [span.text for span in recorder.close()] == ["echo hi", "HI"]


def other_libraries(wire: Wire, recorder: Recorder) -> None:
    wire.echo = True
    url = f"{wire.url}/v1/messages"

    def with_requests(messages: Any) -> Any:
        return requests.post(url, json={"messages": messages}, timeout=9).json()

    async def with_aiohttp(messages: Any) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json={"messages": messages}) as answer,
        ):
            return await answer.json()

    async def with_a_websocket(messages: Any) -> Any:
        app = aiohttp.web.Application()
        app.router.add_get("/", _echo_socket)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}/") as socket,
            ):
                await socket.send_str(json.dumps(messages))
                return await socket.receive_json()
        finally:
            await runner.cleanup()

    ways: list[tuple[Callable[..., Any], bool]] = [
        (with_requests, False),
        (lambda messages: _with_botocore(wire, messages), False),
        (with_aiohttp, True),
        (with_a_websocket, True),
    ]
    for call, waits in ways:
        _run(call, waits)
        assert recorder.close() == []
    for number, (call, waits) in enumerate(ways, 1):
        _run(instrument(call), waits)
        spans = recorder.close()
        assert len(spans) == number
        assert spans[-1].input[0].text == "hi"
        assert spans[-1].text.endswith("echo hi")


def opentelemetry(wire: Wire, recorder: Recorder) -> None:
    wire.echo = True
    names: dict[str, Any] = {"__name__": "conftest"}
    providers: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        # A process has one provider for good.
        patch.setattr("opentelemetry.trace.set_tracer_provider", providers.append)
        exec(compile(OTEL_EXAMPLE, "conftest.py", "exec"), names)
    (provider,) = providers
    tracer = provider.get_tracer("other")
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    with tracer.start_as_current_span("elsewhere", attributes=attributes):
        pass
    with tracer.start_as_current_span("seen", attributes=attributes):
        httpx.post(f"{wire.url}/v1/messages", json=ASKED)
    provider.shutdown()
    assert [span.name for span in recorder.close()] == ["elsewhere", "chat claude-test"]


async def _echo_socket(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
    socket = aiohttp.web.WebSocketResponse()
    await socket.prepare(request)
    asked = await socket.receive_json()
    content = [{"type": "text", "text": f"echo {asked[0]['content']}"}]
    await socket.send_json({"type": "message", "role": "assistant", "content": content})
    return socket


def _with_botocore(wire: Wire, messages: Any) -> Any:
    session = botocore.session.get_session()
    session.set_credentials("an-access-key", "a-secret-key")
    client = session.create_client("bedrock-runtime", region_name="eu-west-1", endpoint_url=wire.url)
    body = json.dumps({"messages": messages})
    answer = client.invoke_model(modelId="m", body=body)["body"].read()
    client.close()
    return json.loads(answer)


def _run(call: Callable[..., Any], waits: bool) -> None:
    answer = call(messages=ASKED["messages"])
    if waits:
        asyncio.run(_wait(answer))


async def _wait(coming: Any) -> None:
    await coming


ROWS: dict[str, Callable[[Wire, Recorder], None]] = {
    "anthropic, openai (Chat Completions and Responses), and everything else on httpx or httpx2, sync and "
    "async, plain and streamed": clients,
    "another host that speaks one of these APIs": other_hosts,
    "an SDK's retries": retries,
    "threads and tasks started within a test": threads_and_tasks,
    "images and files": images,
    "litellm; a function of your own": functions,
    "requests, aiohttp, botocore, WebSocket sessions": other_libraries,
    "OpenTelemetry spans with GenAI attributes that other instrumentation emits": opentelemetry,
}


def test_every_row_is_here() -> None:
    assert re.findall(r"^\| (\w.*?) \|", TABLE, re.MULTILINE) == list(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_row(wire: Wire, capture: Capture, row: str) -> None:
    with recording(Recorder()) as recorder:
        ROWS[row](wire, recorder)
    assert capture is not None
