"""Calls outside pytest are traces: in the local store, or on a server."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anthropic
import pytest

from pytest_kaizen import agent, instrument, trace
from pytest_kaizen.models import Run
from pytest_kaizen.store import Store
from tests.pipeline.tracing.conftest import SERVER_ID

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_kaizen.scripted import ScriptedLLM
    from tests.pipeline.tracing.conftest import CTServer, Outside

SUMMARIZE_TICKET = "Summarize this ticket: {ticket} (one line)."


def ask(prompt: str) -> Any:
    return SimpleNamespace(text=prompt.upper())


def test_a_trace_in_the_local_store(outside: Outside) -> None:
    answer = instrument(ask)(SUMMARIZE_TICKET.format(ticket="it broke"))
    assert outside.trace.id == answer.ct_trace_id
    assert outside.trace.task == "test_outside_SUMMARIZE_TICKET"
    assert outside.trace.input == "Summarize this ticket: it broke (one line)."
    answer.ct_score(0.5)
    answer.ct_score(1)
    assert [(score.name, score.value) for score in outside.trace.scores] == [
        ("ct_score", 0.5),
        ("ct_score", 1.0),
    ]
    (run,) = outside.runs()
    assert (run.kind, run.status, run.finished_at) == ("traces", "running", None)
    outside.end()
    (run,) = outside.runs()
    assert run.status == "completed"
    assert run.finished_at is not None


def test_a_client_and_its_stream(outside: Outside, llm: ScriptedLLM) -> None:
    asked: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    with instrument(anthropic.Anthropic(api_key="k", base_url=llm.url)) as client:
        client.messages.create(**asked)
        stream: Any = client.messages.create(**asked, stream=True)
        first = stream.ct_trace_id
        assert len(outside.traces()) == 1
        list(stream)

    async def main() -> None:
        async with instrument(anthropic.AsyncAnthropic(api_key="k", base_url=llm.url)) as client:
            answer: Any = await client.messages.create(**asked)
            assert answer.ct_trace_id == outside.traces()[0].id
            async with client.messages.stream(**asked) as stream:
                assert [text async for text in stream.text_stream]

    asyncio.run(main())
    traces = outside.traces()
    assert [trace.output for trace in traces] == ["Hello!"] * 4
    assert [len(trace.spans) for trace in traces] == [1] * 4
    assert traces[2].id == first


def test_each_run_of_an_agent_is_one_trace(outside: Outside, llm: ScriptedLLM) -> None:
    client = anthropic.Anthropic(api_key="k", base_url=llm.url)

    @agent("triage-bot", task="triage_ticket")
    def triage(ticket: str) -> str:
        for text in ("one", "two"):
            client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": text}])
        return f"done with {ticket}"

    @agent
    async def breaks() -> None:
        raise ValueError("no")

    with client:
        assert triage("it broke") == "done with it broke"
        with pytest.raises(ValueError, match="no"):
            asyncio.run(breaks())
    broken, done = outside.traces()
    assert (done.name, done.task, done.input, done.output) == (
        "triage-bot",
        "triage_ticket",
        "it broke",
        "done with it broke",
    )
    assert [span.kind for span in done.spans] == ["AGENT", "LLM", "LLM"]
    assert {span.parent_id for span in done.spans[1:]} == {done.spans[0].id}
    assert [span.kind for span in broken.spans] == ["AGENT"]
    assert "ValueError: no" in (broken.error or "")


def test_tasks_by_name(outside: Outside) -> None:
    mapped = instrument(ask, task_map={"SUMMARIZE_TICKET": "summaries"}, ignore_unmapped=True)
    mapped(SUMMARIZE_TICKET.format(ticket="one"))
    ignored = mapped("Something else that is asked.")
    ignored.ct_score(0.5)
    assert ignored.ct_trace_id is None
    assert outside.trace.task == "summaries"


def test_no_secret_reaches_the_disk(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "canary-in-the-environment-1")

    @instrument
    def leak(prompt: str, api_key: str) -> str:  # noqa: ARG001
        raise ValueError(f"{api_key} is wrong, and so is {os.environ['SOME_API_KEY']}")

    with pytest.raises(ValueError, match="canary"):
        leak("hi", api_key="canary-in-the-argument-22")
    assert outside.trace.error is not None
    assert outside.trace.error.startswith("ValueError: [redacted: ")
    with pytest.raises(ValueError, match="canary"):
        trace(leak)("hi", api_key="canary-in-the-argument-33")
    outside.end()
    for path in outside.path.rglob("*"):
        assert not path.is_file() or b"canary" not in path.read_bytes(), path


def test_within_pytest_but_outside_a_case_nothing_is_kept(outside: Outside, monkeypatch: Any) -> None:
    monkeypatch.setenv("PYTEST_VERSION", "9")
    answer = instrument(ask)("hi")
    answer.ct_score(0.5)
    assert (answer.text, answer.ct_trace_id) == ("HI", None)
    assert not (outside.path / ".kaizen").exists()


def test_traces_are_no_session(outside: Outside) -> None:
    instrument(ask)("hi")
    session = outside.runs()[0].model_copy(update={"id": "session", "kind": "tests"})
    instrument(ask)("ho")
    with Store.open(outside.path / ".kaizen/kaizen.db") as store:
        store.start_run(Run(**{**vars(session), "created_at": session.created_at.replace(year=2020)}))
        assert store.run("last").id == "session"
        assert [case.complete for case in store.cases(outside.runs()[0].id)] == [False]
        assert len(store.traces(run_id=outside.runs()[0].id)) == 2


# --- a server


def test_a_trace_on_a_server(outside: Outside, ct: CTServer) -> None:
    answer = instrument(ask, api_key="ct-key-of-the-user", base_url=ct.url)(
        SUMMARIZE_TICKET.format(ticket="it broke")
    )
    assert answer.ct_trace_id == SERVER_ID
    answer.ct_score(0.5)
    (trace, key, body), (score, _, scored) = ct.seen
    assert (trace, key) == ("/api/v1/traces", "ct-key-of-the-user")
    assert body.pop("latency_ms") >= 0
    assert len(body.pop("metadata")["kaizen_id"]) == 32
    assert body == {
        "task_id": "test_outside_SUMMARIZE_TICKET",
        "prompt_text": "Summarize this ticket: it broke (one line).",
        "response_text": "<SimpleNamespace>",
        "source_file": __file__,
        "source_variable": "SUMMARIZE_TICKET",
    }
    assert score == f"/api/v1/traces/{SERVER_ID}/score"
    assert scored == {"score": 0.5, "scored_by": "sdk"}
    assert not (outside.path / ".kaizen").exists()


def test_key_and_server_from_the_environment(
    outside: Outside, ct: CTServer, monkeypatch: pytest.MonkeyPatch, chat: Callable[..., Any]
) -> None:
    monkeypatch.setenv("KAIZEN_API_KEY", "ct-key-of-the-team")
    monkeypatch.setenv("KAIZEN_BASE_URL", ct.url)

    @instrument
    def complete(messages: Any) -> Any:
        return chat(f"ct-key-of-the-team {messages[0]['content']}")

    complete(messages=[{"role": "user", "content": "hi"}])
    ((_, key, body),) = ct.seen
    assert key == "ct-key-of-the-team"
    assert (body["model"], body["tokens"], body["prompt_text"]) == ("m-1", 9, "hi")
    assert body["response_text"] == "[redacted: $KAIZEN_API_KEY] hi"
    assert not (outside.path / ".kaizen").exists()


def test_what_a_server_refuses_stays_local(
    outside: Outside, ct: CTServer, caplog: pytest.LogCaptureFixture
) -> None:
    ct.status = 422
    with caplog.at_level(logging.WARNING, "pytest_kaizen"):
        answer = instrument(ask, api_key="ct-key-of-the-user", base_url=ct.url)("hi")
    assert answer.ct_trace_id == outside.trace.id
    answer.ct_score(0.5)
    assert outside.trace.scores[0].value == 0.5
    assert "a trace stays in the local store: " in caplog.text


# --- the program comes first


def test_a_broken_configuration_is_logged_once(outside: Outside, caplog: pytest.LogCaptureFixture) -> None:
    (outside.path / "kaizen.yaml").write_text("no_such_key: 1\n")
    with caplog.at_level(logging.WARNING, "pytest_kaizen"):
        assert [instrument(ask)("hi").text for _ in range(2)] == ["HI", "HI"]
    assert caplog.text.count("no traces are recorded: ") == 1
    assert "no_such_key" in caplog.text


def test_a_store_that_cannot_be_written_is_logged(outside: Outside, caplog: pytest.LogCaptureFixture) -> None:
    (outside.path / ".kaizen").write_text("in the way")
    with caplog.at_level(logging.WARNING, "pytest_kaizen"):
        assert instrument(ask)("hi").text == "HI"
    assert "a trace was lost: " in caplog.text


def test_a_program_without_pytest(tmp_path: Path) -> None:
    script = """
import sys
from pytest_kaizen import instrument, trace
with trace("main"):
    instrument(lambda prompt: prompt)("hi")
assert "pytest" not in sys.modules and "_pytest" not in sys.modules
"""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "KAIZEN"))}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environ, check=True)
    with Store.open(tmp_path / ".kaizen/kaizen.db", readonly=True) as store:
        assert [run.status for run in store.runs()] == ["completed"]
        assert [span.name for span in store.traces()[0].spans] == ["main", "<lambda>"]
