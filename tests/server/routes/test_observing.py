"""The rows of Kalmia's page that ask a model, asked by its own client while the server's worker works."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from pytest_kaizen import KalmiaClient
from pytest_kaizen.errors import KalmiaError
from pytest_kaizen.platforms.kalmia.trace_wire import KalmiaTrace
from pytest_kaizen.scripted import Request, ScriptedLLM
from pytest_kaizen.server.routes import kalmia
from tests.server.conftest import Book, MakeSite, Site
from tests.server.routes.conftest import ONE_VARIANT, Clients

Connect = Callable[[str], KalmiaClient]


@pytest.fixture
def connect(clients: Clients, site: Site) -> Iterator[Connect]:
    """Make clients by the name of a key, of a server that does its jobs."""
    with site.state.worker:
        yield lambda name: clients.make(KalmiaClient, name)


@pytest.fixture
def client(connect: Connect) -> KalmiaClient:
    return connect("both")


def send(client: KalmiaClient, *ids: str, text: str = "out") -> None:
    client.ingest(
        [
            KalmiaTrace.model_validate(
                {
                    "id": name,
                    "input": f"in {name}",
                    "output": f"{text} {name}",
                    "metadata": {"correlationId": "c"},
                }
            )
            for name in ids
        ]
    )


def refusal(ask: Callable[[], object]) -> tuple[int | None, str]:
    with pytest.raises(KalmiaError) as caught:
        ask()
    return caught.value.status_code, str(caught.value)


def answer(request: Request) -> str:
    """As a model that finds one thing in every trace, and every behaviour in those that say so."""
    asked = (request.schema or {}).get("properties", {})
    if "findings" not in asked:
        score = 8 if "loops here" in request.last_user_text else 2
        return json.dumps({name: {"reason": "it says so", "score": score} for name in asked})
    of = next(key for key in asked["findings"]["items"]["properties"] if key in ("traces", "findings"))
    return json.dumps({"findings": [{"title": "It repeats", "detail": "Often.", of: [1]}]})


@pytest.mark.wire("kalmia: POST /api/experiments/{experiment_id}/analysis")
def test_post_analysis(client: KalmiaClient, book: Book, model: ScriptedLLM) -> None:
    model.reply(answer)
    send(client, "one", "two")
    made = client.create_experiment("e", ["c"])
    found = client.analyze_experiment(made.id, "Where does it fail?", "claude-haiku-4-5")
    assert [(item.title, item.detail) for item in found.insights] == [("It repeats", "Often.")]
    assert found.insights[0].trace_ids == ["two"]
    job = book.store("ours").jobs.one(found.job_id or "")
    assert (job.kind, job.status.value, job.spend.calls) == ("analysis", "completed", 1)
    (asked,) = model.requests
    assert "Where does it fail?" in asked.last_user_text
    assert asked.model == "claude-haiku-4-5"
    # The same again is another job, which costs nothing; a trace that has come since is read.
    again = client.analyze_experiment(made.id, "Where does it fail?", "claude-haiku-4-5")
    assert (again.insights, again.job_id == found.job_id) == (found.insights, False)
    assert len(model.requests) == 1
    send(client, "three")
    assert client.analyze_experiment(made.id).insights[0].trace_ids == ["three"]


@ONE_VARIANT
def test_post_analysis_without_traces_or_experiment(client: KalmiaClient, connect: Connect) -> None:
    made = client.create_experiment("e", ["c"])
    status, text = refusal(lambda: client.analyze_experiment(made.id))
    assert (status, "has no traces yet" in text) == (409, True)
    assert refusal(lambda: client.analyze_experiment("nope"))[0] == 404
    assert refusal(lambda: connect("stranger").analyze_experiment(made.id))[0] == 404
    assert refusal(lambda: connect("reads").analyze_experiment(made.id))[0] == 403


@pytest.mark.wire("kalmia: POST /api/behaviors/detect")
def test_post_detect(client: KalmiaClient, book: Book, model: ScriptedLLM) -> None:
    model.reply(answer)
    send(client, "one", text="loops here")
    send(client, "two")
    for label in ("loops", "quits"):
        client.create_behavior(label, f"It {label}.")
    found = client.detect_behaviors(["one", "two", "one"])
    assert found.checked == 2
    assert [(item.trace_id, item.label, item.confidence) for item in found.annotations] == [
        ("one", "loops", 0.8),
        ("one", "quits", 0.8),
    ]
    assert {item.source for item in found.annotations} == {"detected"}
    assert client.list_annotations()[::-1] == found.annotations
    assert client.list_annotations("one", "loops") == found.annotations[:1]
    # Given again with other bounds: what is there changes, nothing is double.
    low = client.detect_behaviors(["two"], ["loops"], 0.2)
    assert [(item.label, item.confidence) for item in low.annotations] == [("loops", 0.2)]
    assert client.detect_behaviors(["one"], ["loops"], 0.9).annotations == []
    assert len(client.list_annotations()) == 3
    assert {job.kind for job in book.store("ours").jobs.newest()} == {"detection"}


@ONE_VARIANT
def test_post_detect_of_what_is_not_there(
    client: KalmiaClient, connect: Connect, make_site: MakeSite, book: Book
) -> None:
    send(client, "one")
    status, text = refusal(lambda: client.detect_behaviors(["one"]))
    assert (status, "no behaviour is defined yet" in text) == (409, True)
    client.create_behavior("loops", "")
    assert refusal(lambda: client.detect_behaviors(["one", "two"]))[0] == 404
    assert "there is no behaviour 'other'" in refusal(lambda: client.detect_behaviors(["one"], ["other"]))[1]
    stranger = connect("stranger")
    stranger.create_behavior("loops", "")
    assert refusal(lambda: stranger.detect_behaviors(["one"]))[0] == 404
    few = httpx.ASGITransport(app=make_site(max_batch=1).app)
    with KalmiaClient(book.keys["both"], "http://127.0.0.1:8000", transport=few) as small:
        assert refusal(lambda: small.detect_behaviors(["one", "two"]))[0] == 413
    wrong: list[tuple[list[str], list[str] | None, float]] = [
        ([], None, 0.5),
        (["one"], [], 0.5),
        (["one"], None, 2),
    ]
    for given in wrong:
        with pytest.raises(KalmiaError):
            client.detect_behaviors(*given)


def both(client: KalmiaClient) -> list[Callable[[], object]]:
    """The two questions to a model."""
    send(client, "one")
    client.create_behavior("loops", "")
    made = client.create_experiment("e", ["c"])
    return [lambda: client.analyze_experiment(made.id), lambda: client.detect_behaviors(["one"])]


@ONE_VARIANT
def test_without_a_key_the_job_fails_with_that_reason(
    client: KalmiaClient, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for ask in both(client):
        status, text = refusal(ask)
        assert status == 424
        assert "set ANTHROPIC_API_KEY in the environment" in text
    failed = book.store("ours").jobs.newest()
    assert [(job.kind, job.status.value) for job in failed] == [
        ("detection", "failed"),
        ("analysis", "failed"),
    ]
    assert all("set ANTHROPIC_API_KEY" in (job.error or "") for job in failed)
    assert client.list_annotations() == []


@pytest.mark.parametrize(
    "reply",
    [
        "I will not answer in JSON.",
        "[]",
        '{"findings": [{"title": "t", "detail": "d", "traces": [7]}], "b1": {"reason": "r", "score": 700}}',
    ],
)
@ONE_VARIANT
def test_what_a_model_answers_wrongly_is_an_error_and_no_result(
    client: KalmiaClient, model: ScriptedLLM, reply: str
) -> None:
    model.reply(reply)
    for ask in both(client):
        status, text = refusal(ask)
        assert (status, "gave no readable answer in 3 attempts" in text) == (424, True)
    assert client.list_annotations() == []


@ONE_VARIANT
def test_a_job_that_takes_long_is_waited_for_again(
    client: KalmiaClient, site: Site, model: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def slow(request: Request) -> str:
        gate.wait(60)
        return answer(request)

    model.reply(slow)
    analysis = both(client)[0]
    monkeypatch.setattr(kalmia, "_PATIENCE_S", 0.0)
    status, text = refusal(analysis)
    assert (status, "ask the same again to wait for it" in text) == (504, True)
    monkeypatch.setattr(kalmia, "_PATIENCE_S", 600.0)
    # Nor does a server wait for it that is told to stop.
    site.state.stopping.set()
    assert refusal(analysis) == (status, text)
    site.state.stopping.clear()
    gate.set()
    analysis()
    assert len(model.requests) == 1
