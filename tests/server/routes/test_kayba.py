"""The rows of Kayba's page about traces, asked by its own client."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from pytest_kaizen import KaybaClient
from pytest_kaizen.errors import KaybaAPIError
from pytest_kaizen.models import new_trace_id
from tests.server.conftest import Book, Live, Site
from tests.server.routes.conftest import Clients

Connect = Callable[[str], KaybaClient]
FILES = [
    {"filename": "one.md", "content": "# Grüße", "fileType": "md"},
    {"filename": "two.json", "content": '{"a": 1}', "fileType": "json"},
]


@pytest.fixture
def connect(clients: Clients) -> Connect:
    """Make clients by the name of a key."""
    return lambda name: clients.make(KaybaClient, name, "/api")


@pytest.mark.wire(
    "kayba: GET /api/traces",
    "kayba: POST /api/traces",
    "kayba: GET /api/traces/{trace_id}",
    "kayba: DELETE /api/traces/{trace_id}",
    "kayba: POST /api/traces/batch",
)
def test_upload_list_get_batch_delete(connect: Connect) -> None:
    client = connect("both")
    uploaded = client.upload_traces(FILES)
    assert uploaded["count"] == 2
    assert [(meta["filename"], meta["fileType"], meta["size"]) for meta in uploaded["traces"]] == [
        ("one.md", "md", 9),
        ("two.json", "json", 8),
    ]
    first, second = (meta["id"] for meta in uploaded["traces"])
    assert uploaded["traces"][0]["uploadedAt"].endswith("Z")
    assert client.list_traces()["traces"] == uploaded["traces"][::-1]
    assert client.get_trace(first) == {**uploaded["traces"][0], "content": "# Grüße"}
    batch = client.get_traces([second, new_trace_id(), first])["traces"]
    assert [item["content"] for item in batch] == ['{"a": 1}', "# Grüße"]
    assert client.delete_trace(first) == {}
    gone = client.delete_traces([second, first])
    assert gone["deleted"] == [second]
    assert gone["errors"] == [{"id": first, "error": f"there is no trace {first!r}"}]
    assert client.list_traces() == {"traces": []}


def test_an_id_is_whole(connect: Connect) -> None:
    client = connect("both")
    (meta,) = client.upload_traces(FILES[:1])["traces"]
    for part in (meta["id"][:8], "last"):
        with pytest.raises(KaybaAPIError, match="there is no trace") as caught:
            client.delete_trace(part)
        assert (caught.value.code, caught.value.status_code) == ("NOT_FOUND", 404)
    assert len(client.list_traces()["traces"]) == 1


def test_files_are_kept_without_secrets(connect: Connect) -> None:
    client = connect("both")
    content = "key sk-ant-" + "q" * 40
    (meta,) = client.upload_traces([{**FILES[0], "content": content}])["traces"]
    assert client.get_trace(meta["id"])["content"] == "key [redacted: Anthropic key]"


def test_another_workspace_has_none_of_it(connect: Connect) -> None:
    (meta,) = connect("both").upload_traces(FILES[:1])["traces"]
    stranger = connect("stranger")
    assert stranger.list_traces() == {"traces": []}
    assert stranger.get_traces([meta["id"]]) == {"traces": []}
    for ask in (stranger.get_trace, stranger.delete_trace):
        with pytest.raises(KaybaAPIError, match="there is no trace"):
            ask(meta["id"])


@pytest.mark.wire("shared: one trace, whoever sent it")
def test_one_trace_is_one_trace(connect: Connect, site: Site, book: Book) -> None:
    """Sent as Kalmia's, scored as Kaizen CT's, listed as Kayba's."""
    with Live(site.app) as live, httpx.Client(base_url=live.url) as http:
        bearer = {"Authorization": f"Bearer {book.keys['both']}"}
        sent = http.post("/api/v1/traces/ingest", json={"id": "run/1", "output": "x"}, headers=bearer)
        assert sent.json() == {"rejected": []}
        scored = http.post("/api/v1/traces/run%2F1/score", json={"score": 0.5}, headers=bearer).json()
        assert (scored["score"], scored["response_text"]) == (0.5, "x")
    (meta,) = connect("both").list_traces()["traces"]
    assert (meta["id"], meta["fileType"]) == ("run/1", "json")
    assert '"value":0.5' in connect("both").get_trace("run/1")["content"]
