"""The rows of Kaizen CT's page, asked by its own client: in this process and over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from pytest_kaizen import CTClient
from pytest_kaizen.config import ServerConfig
from pytest_kaizen.errors import CTAuthError, CTError, CTNotFoundError, CTValidationError
from pytest_kaizen.models import PromptVersion
from pytest_kaizen.platforms.connections import BACKGROUND
from pytest_kaizen.platforms.kaizen_ct.client import AsyncCTClient
from pytest_kaizen.server.routes import OPERATIONS
from pytest_kaizen.store.workspaces import Workspaces
from tests.server.conftest import ELSEWHERE, Book, Site
from tests.server.routes.conftest import Clients

NOBODY = "11111111-1111-4111-8111-111111111111"
Connect = Callable[[str], CTClient]


@pytest.fixture
def connect(clients: Clients) -> Connect:
    """Make clients by the name of a key."""
    return lambda name: clients.make(CTClient, name)


@pytest.fixture
def client(connect: Connect) -> CTClient:
    return connect("both")


def ask(
    client: CTClient, method: str, path: str, json: object = None, headers: dict[str, str] | None = None
) -> httpx.Response:
    """What the client has no method for."""
    given = {"X-API-Key": client._key._key, **(headers or {})}

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=client._transport, base_url=client.base_url) as http:
            return await http.request(method, path, json=json, headers=given)

    return BACKGROUND.run(asked())


@pytest.mark.wire("kaizen-ct: POST /api/v1/tasks", "kaizen-ct: GET /api/v1/tasks")
@pytest.mark.wire(
    "kaizen-ct rules: 409 when the name of a task is taken", "kaizen-ct rules: a token is written only"
)
def test_create_task_list_tasks(client: CTClient) -> None:
    made = client.create_task(
        "summarize_ticket",
        description="Sums up.",
        schema_json={"properties": {"ticket": {}}},
        feedback_threshold=3,
        github_repo="acme/prompts",
        git_token_raw="ghp_" + "x" * 36,
    )
    assert isinstance(made.id, UUID)
    assert (made.name, made.feedback_threshold, made.git_repo) == ("summarize_ticket", 3, "acme/prompts")
    assert (made.feedback_count, made.threshold_progress) == (0, "0/3")
    other = client.create_task("other")
    assert client.list_tasks() == [other, made]
    with pytest.raises(CTError, match="there is a task 'other' already") as caught:
        client.create_task("other")
    assert caught.value.status_code == 409


@pytest.mark.wire("kaizen-ct: GET /api/v1/tasks/{task_id}", "kaizen-ct: DELETE /api/v1/tasks/{task_id}")
@pytest.mark.wire("kaizen-ct rules: a task is found by its UUID or its name")
def test_get_and_delete_task_by_id_or_name(client: CTClient) -> None:
    made = client.create_task("t")
    for given in (str(made.id), str(made.id).upper(), made.id.hex, "t"):
        assert ask(client, "GET", f"/api/v1/tasks/{given}/").json()["id"] == str(made.id)
    assert [task["name"] for task in ask(client, "GET", "/api/v1/tasks?name=t").json()] == ["t"]
    assert ask(client, "GET", "/api/v1/tasks?name=x").json() == []
    assert ask(client, "DELETE", "/api/v1/tasks/t").status_code == 204
    assert ask(client, "GET", "/api/v1/tasks/t").status_code == 404
    assert ask(client, "DELETE", "/api/v1/tasks/t").status_code == 404


@pytest.mark.wire("kaizen-ct: POST /api/v1/feedback", "kaizen-ct: GET /api/v1/feedback")
@pytest.mark.wire("kaizen-ct rules: feedback of a task by its UUID or its name")
def test_log_feedback_by_task_id(client: CTClient) -> None:
    made = client.create_task("t", feedback_threshold=2)
    for given in (str(made.id), "t"):
        entry = client.log_feedback(
            given, {"q": "lamp"}, "It flickers.", 0.5, source="user_rating", metadata={"who": "ann"}
        )
        assert entry.task_id == made.id
    assert (entry.inputs, entry.output, entry.score) == ({"q": "lamp"}, "It flickers.", 0.5)
    assert (entry.source, entry.metadata) == ("user_rating", {"who": "ann"})
    (task,) = client.list_tasks()
    assert (task.feedback_count, task.threshold_progress) == (2, "2/2")
    listed = ask(client, "GET", f"/api/v1/feedback?task_id={made.id}&limit=1").json()
    assert [item["id"] for item in listed] == [str(entry.id)]
    assert len(ask(client, "GET", "/api/v1/feedback?task_id=t&offset=1").json()) == 1


@pytest.mark.wire("kaizen-ct rules: an unknown task_name makes the task")
def test_feedback_by_task_name_makes_the_task(client: CTClient) -> None:
    body = {
        "task_name": "new",
        "inputs": {"q": 1},
        "output": "a",
        "feedback_threshold": 7,
        "existing_prompt_text": "Be brief.",
    }
    for _ in range(2):
        assert ask(client, "POST", "/api/v1/feedback", json=body).status_code == 201
    (task,) = client.list_tasks()
    assert (task.name, task.feedback_threshold, task.feedback_count) == ("new", 7, 2)
    assert task.schema_json == {"properties": {"q": {}}}
    prompt = client.get_prompt("new")
    assert (prompt.prompt_text, prompt.version_number, prompt.status) == ("Be brief.", 1, "active")


@pytest.mark.wire(
    "kaizen-ct rules: inputs have exactly the fields of the schema",
    "kaizen-ct rules: a score is in [0, 1] or null",
)
def test_feedback_that_does_not_fit_the_schema(client: CTClient) -> None:
    client.create_task("t", schema_json={"a": "text", "b": "text"})
    with pytest.raises(CTValidationError, match=r"missing: b; unknown: c"):
        client.log_feedback("t", {"a": 1, "c": 2}, "x")
    with pytest.raises(CTNotFoundError, match="there is no task 'nobody'"):
        client.log_feedback("nobody", {"a": 1}, "x")
    answer = ask(client, "POST", "/api/v1/feedback", json={"task_id": "t", "score": 1.5})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "INVALID")


def test_feedback_is_kept_without_secrets(client: CTClient, book: Book) -> None:
    client.create_task("t")
    secret = "sk-ant-" + "q" * 40
    entry = client.log_feedback("t", {"q": secret}, f"said {secret}")
    assert entry.output == "said [redacted: Anthropic key]"
    assert secret not in str(book.store("ours").feedback.newest(str(entry.task_id)))


@pytest.mark.wire(
    "kaizen-ct: GET /api/v1/prompts/{task_id}",
    "kaizen-ct: GET /api/v1/prompts/{task_id}/versions",
    "kaizen-ct: POST /api/v1/prompts/{task_id}/activate",
)
@pytest.mark.wire(
    "kaizen-ct rules: 404 while no prompt is active",
    "kaizen-ct rules: the version before the active one is archived",
    "kaizen-ct rules: a version is activated by the body or the query",
)
def test_get_prompt_and_activate_prompt(client: CTClient, book: Book) -> None:
    client.create_task("t")
    with pytest.raises(CTNotFoundError, match="no version of the prompt of 't' is active"):
        client.get_prompt("t")
    store = book.store("ours")
    now = datetime(2026, 3, 30, tzinfo=UTC)
    store.save_prompts(
        PromptVersion(task="t", version=n, sha256=f"s{n}", text=f"v{n}", eval_score=n / 10, created_at=now)
        for n in (1, 2)
    )
    listed = ask(client, "GET", "/api/v1/prompts/t/versions").json()
    assert [(item["version_number"], item["status"]) for item in listed] == [(2, "draft"), (1, "draft")]
    first = client.activate_prompt("t", listed[1]["id"])
    assert (first.prompt_text, first.status, first.eval_score) == ("v1", "active", 0.1)
    assert client.get_prompt("t") == first
    assert client.activate_prompt("t", listed[0]["id"]).version_number == 2
    assert client.get_prompt("t").version_number == 2
    listed = ask(client, "GET", "/api/v1/prompts/t/versions").json()
    assert [item["status"] for item in listed] == ["active", "archived"]
    assert client.activate_prompt("t", listed[1]["id"]).status == "active"
    assert client.list_tasks()[0].active_prompt_score == 0.1
    by_query = ask(client, "POST", f"/api/v1/prompts/t/activate?version_id={listed[0]['id']}")
    assert (by_query.status_code, by_query.json()["version_number"]) == (200, 2)
    assert ask(client, "POST", "/api/v1/prompts/t/activate").status_code == 422
    assert client.activate_prompt("t", listed[1]["id"]).status == "active"
    with pytest.raises(CTError, match="version 1 of 't' is active already"):
        client.activate_prompt("t", listed[1]["id"])
    with pytest.raises(CTNotFoundError, match="has no version"):
        client.activate_prompt("t", NOBODY)


@pytest.mark.wire(
    "kaizen-ct: POST /api/v1/traces",
    "kaizen-ct: GET /api/v1/traces",
    "kaizen-ct: POST /api/v1/traces/{trace_id}/score",
)
def test_log_trace_and_score(client: CTClient) -> None:
    task = client.create_task("t", feedback_source="traces")
    trace = client.log_trace(
        task_id="t",
        prompt_text="Sum up.",
        response_text="Done.",
        model="claude-haiku-4-5",
        tokens=12,
        latency_ms=3.5,
        source_file="app.py",
        source_variable="PROMPT",
        metadata={"kaizen_id": "k1"},
    )
    assert trace.task_id == task.id
    assert (trace.prompt_text, trace.response_text, trace.model) == ("Sum up.", "Done.", "claude-haiku-4-5")
    assert (trace.tokens, trace.latency_ms, trace.source_variable) == (12, 3.5, "PROMPT")
    assert (trace.metadata, trace.score) == ({"kaizen_id": "k1"}, None)
    scored = client.score(str(trace.id), 0.25)
    assert (scored.score, scored.scored_by) == (0.25, "sdk")
    scored = client.score(trace.id.hex, 0.75, scored_by="ann")
    listed = ask(client, "GET", f"/api/v1/traces?task_id={task.id}").json()
    assert listed == [scored.to_json()]
    (entry,) = ask(client, "GET", "/api/v1/feedback?task_id=t").json()
    assert (entry["inputs"], entry["output"], entry["score"]) == ({"input": "Sum up."}, "Done.", 0.75)
    with pytest.raises(CTNotFoundError):
        client.score(NOBODY, 1.0)


@pytest.mark.wire(
    "kaizen-ct: GET /api/v1/keys/status",
    "kaizen-ct: GET /api/v1/keys",
    "kaizen-ct: POST /api/v1/keys",
    "kaizen-ct: DELETE /api/v1/keys/{key_id}",
)
@pytest.mark.wire("kaizen-ct rules: the text of a key is shown once")
def test_keys(client: CTClient, connect: Connect) -> None:
    admin = connect("rules")
    assert ask(admin, "GET", "/api/v1/keys/status").json() == {"has_keys": True, "count": 6}
    made = ask(admin, "POST", "/api/v1/keys", json={"label": "ci"}).json()
    assert set(made) == {"id", "label", "created_at", "key"}
    fresh = connect(made["key"])
    assert fresh.list_tasks() == []
    listed = ask(admin, "GET", "/api/v1/keys").json()
    assert [item["label"] for item in listed] == ["reads", "writes", "both", "rules", "all", "ci"]
    assert "key" not in listed[-1]
    assert ask(client, "GET", "/api/v1/keys").status_code == 403
    assert ask(connect("stranger"), "DELETE", f"/api/v1/keys/{made['id']}").status_code == 404
    assert ask(admin, "DELETE", f"/api/v1/keys/{made['id']}").status_code == 204
    with pytest.raises(CTAuthError, match="the key was revoked"):
        fresh.list_tasks()
    assert ask(admin, "DELETE", f"/api/v1/keys/{made['id']}").status_code == 404


@pytest.mark.wire("kaizen-ct: POST /api/v1/keys/bootstrap")
def test_bootstrap_makes_the_first_key_only(connect: Connect) -> None:
    refused = ask(connect("all"), "POST", "/api/v1/keys/bootstrap", json={"label": "x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN")


@pytest.mark.wire("kaizen-ct rules: the first key is made on this machine, and no second")
@pytest.mark.asyncio
async def test_the_first_key_of_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspaces = Workspaces.open(tmp_path / "fresh")
    try:
        fresh = Site(Book(workspaces, monkeypatch), ServerConfig(), OPERATIONS)
        path = "/api/v1/keys/bootstrap"
        async with fresh.client(at=ELSEWHERE) as http:
            assert (await http.post(path, json={"label": "x"})).status_code == 401
            assert (await http.get("/api/v1/keys/status")).json() == {"has_keys": False, "count": 0}
        async with fresh.client() as http:
            made = await http.post(path, json={"label": "x"})
            assert (made.status_code, made.json()["label"]) == (201, "x")
            assert (await http.post(path, json={"label": "y"})).status_code == 403
        async with fresh.client(made.json()["key"]) as http:
            assert (await http.get("/api/v1/keys")).json()[0]["id"] == made.json()["id"]
    finally:
        workspaces.close()


@pytest.mark.asyncio
async def test_the_first_key_is_one_however_many_ask_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspaces = Workspaces.open(tmp_path / "fresh")
    try:
        fresh = Site(Book(workspaces, monkeypatch), ServerConfig(), OPERATIONS)
        async with fresh.client() as http:
            asked = (http.post("/api/v1/keys/bootstrap", json={"label": f"{n}"}) for n in range(8))
            answers = await asyncio.gather(*asked)
        assert sorted(answer.status_code for answer in answers) == [201, *[403] * 7]
        [made] = [answer.json() for answer in answers if answer.status_code == 201]
        assert [key.label for key in workspaces.central.keys.list()] == [made["label"]]
        assert [place.name for place in workspaces.central.workspaces()] == ["default"]
    finally:
        workspaces.close()


def test_another_workspace_has_none_of_it(client: CTClient, connect: Connect) -> None:
    task = client.create_task("t")
    trace = client.log_trace(task_id="t", prompt_text="a")
    stranger = connect("stranger")
    assert stranger.list_tasks() == []
    assert ask(stranger, "GET", "/api/v1/traces").json() == []
    for method, path in (
        ("GET", f"/api/v1/tasks/{task.id}"),
        ("DELETE", f"/api/v1/tasks/{task.id}"),
        ("GET", f"/api/v1/feedback?task_id={task.id}"),
        ("GET", f"/api/v1/traces?task_id={task.id}"),
        ("GET", f"/api/v1/prompts/{task.id}"),
        ("GET", f"/api/v1/prompts/{task.id}/versions"),
    ):
        assert ask(stranger, method, path).status_code == 404, path
    with pytest.raises(CTNotFoundError):
        stranger.score(str(trace.id), 1.0)


def test_a_request_that_is_sent_again_is_done_once(client: CTClient) -> None:
    client.create_task("t")
    body = {"task_id": "t", "inputs": {"a": 1}, "output": "x"}

    def send(key: str, given: object) -> httpx.Response:
        return ask(client, "POST", "/api/v1/feedback", given, {"Idempotency-Key": key})

    first, again, other = send("k1", body), send("k1", body), send("k2", body)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 201)
    assert first.json() == again.json() != other.json()
    assert client.list_tasks()[0].feedback_count == 2
    reused = send("k1", {**body, "output": "y"})
    assert (reused.status_code, reused.json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.asyncio
async def test_the_async_client(site: Site, book: Book) -> None:
    transport = httpx.ASGITransport(app=site.app)
    async with AsyncCTClient(book.keys["both"], "http://127.0.0.1:8000", transport=transport) as client:
        made = await client.create_task("t")
        assert await client.list_tasks() == [made]


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        ("/traces", {"task_id": "t", "latency_ms": 1e300}, "body.latency_ms: Input should be less"),
        ("/traces", {"task_id": "t", "latency_ms": -1}, "body.latency_ms: Input should be greater"),
        ("/feedback", {"task_id": ""}, "body: Value error, task_id or task_name is required"),
        ("/tasks", {"name": "u", "feedback_source": "elsewhere"}, "body.feedback_source: Input should be"),
        ("/tasks", {"name": "u", "cost_budget": 0}, "body.cost_budget: Input should be greater"),
    ],
)
def test_values_that_are_none(client: CTClient, path: str, body: dict[str, object], problem: str) -> None:
    answer = ask(client, "POST", f"/api/v1{path}", body)
    assert (answer.status_code, answer.json()["detail"][: len(problem)]) == (422, problem)
