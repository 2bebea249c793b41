"""The rows of Kayba's page about integrations and of Kalmia's about Braintrust, and those that are ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from pytest_kaizen import KalmiaClient, KaybaClient
from pytest_kaizen.errors import KalmiaError, KaybaAPIError
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.platforms.connections import BACKGROUND
from pytest_kaizen.store import sealed
from tests.pipeline.integrations.place import SECRET, Said
from tests.pipeline.integrations.places import BraintrustPlace, LangsmithPlace, MlflowPlace, uuid
from tests.server.conftest import Book, MakeSite, Site

MASKED = f"{SECRET[:4]}****{SECRET[-4:]}"
Ask = Callable[..., httpx.Response]


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(autouse=True)
def own_key(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.delenv(sealed.KEY_VARIABLE, raising=False)
    if home == "postgresql":
        monkeypatch.setenv(sealed.KEY_VARIABLE, "A" * 43 + "=")


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site(allow_private_hosts=True)


def kayba(site: Site, key: str = "both") -> KaybaClient:
    transport = httpx.ASGITransport(app=site.app, raise_app_exceptions=False)
    return KaybaClient(site.book.keys[key], "http://127.0.0.1:8000/api", transport=transport)


def asker(site: Site, key: str = "both") -> Ask:
    async def sent(method: str, path: str, body: Any) -> httpx.Response:
        async with site.client(key) as client:
            return await client.request(method, path, json=body)

    return lambda method, path, body=None: BACKGROUND.run(sent(method, path, body))


@pytest.fixture
def client(site: Site) -> KaybaClient:
    return kayba(site)


@pytest.fixture
def ask(site: Site) -> Ask:
    return asker(site)


@pytest.fixture
def kalmia(site: Site, book: Book) -> KalmiaClient:
    transport = httpx.ASGITransport(app=site.app, raise_app_exceptions=False)
    return KalmiaClient(book.keys["both"], "http://127.0.0.1:8000", transport=transport)


@pytest.fixture
def mlflow() -> Iterator[MlflowPlace]:
    with MlflowPlace() as place:
        place.authorization = f"Bearer {SECRET}"
        yield place


@pytest.fixture
def braintrust(ask: Ask) -> Iterator[BraintrustPlace]:
    with BraintrustPlace() as place:
        place.authorization = f"Bearer {SECRET}"
        body = {"apiUrl": place.url, "apiKey": SECRET, "projectName": "support"}
        assert ask("PUT", "/api/integrations/braintrust", body).status_code == 200
        yield place


@pytest.mark.wire(
    "kayba: GET /api/integrations",
    "kayba: PUT /api/integrations/mlflow",
    "kayba: PUT /api/integrations/langsmith",
)
def test_get_and_put_integrations(client: KaybaClient, site: Site) -> None:
    """GET /integrations, PUT /integrations/:name: secrets masked; an absent, empty or masked one stays."""
    assert client.get_integrations() == {"mlflow": {}, "langsmith": {}, "braintrust": {}}
    given = {
        "enabled": True,
        "trackingUri": "http://127.0.0.1:5000",
        "authType": "basic",
        "username": "me",
        "token": SECRET,
        "experimentName": "support",
    }
    shown = {**given, "token": MASKED}
    assert client.update_integration("mlflow", given) == shown
    for again in ({"token": ""}, {"token": MASKED}, {}, {"enabled": True}):
        assert client.update_integration("mlflow", again) == shown
    langsmith = {"enabled": False, "apiUrl": "https://api.smith.langchain.com", "projectName": "p"}
    answer = client.update_integration("langsmith", {**langsmith, "apiKey": "12345678"})
    assert answer == {**langsmith, "apiKey": "****"}
    assert client.get_integrations() == {
        "mlflow": shown,
        "langsmith": {**langsmith, "apiKey": "****"},
        "braintrust": {},
    }
    token = site.book.store("ours").sealed.open("integration", "mlflow", "token")
    assert token is not None
    assert token.get_secret_value() == SECRET
    assert kayba(site, "stranger").get_integrations() == {"mlflow": {}, "langsmith": {}, "braintrust": {}}


def test_what_is_refused(client: KaybaClient, ask: Ask) -> None:
    """422 for what cannot be right, 404 for what there is not."""
    for body, problem in (
        ({"trackingUri": "file:///etc/passwd"}, "mlflow: trackingUri must be an address"),
        (
            {"authType": "kerberos"},
            "body.authType: Input should be 'none', 'basic', 'bearer' or 'databricks'",
        ),
    ):
        answer = ask("PUT", "/api/integrations/mlflow", body)
        assert (answer.status_code, problem in answer.json()["detail"]) == (422, True)
    client.update_integration("mlflow", {"trackingUri": "http://127.0.0.1:5000", "token": SECRET})
    with pytest.raises(KaybaAPIError, match="give the secret again") as caught:
        client.update_integration("mlflow", {"trackingUri": "http://evil.example", "token": MASKED})
    assert caught.value.status_code == 422
    for method, path, status in (
        ("PUT", "", 405),
        ("DELETE", "", 404),
        ("POST", "/test", 404),
        ("GET", "/projects", 404),
        ("POST", "/import", 404),
    ):
        assert ask(method, f"/api/integrations/phoenix{path}", {}).status_code == status, path


def test_forget(client: KaybaClient, ask: Ask, site: Site) -> None:
    """DELETE /integrations/:name, which is ours."""
    client.update_integration("langsmith", {"apiKey": SECRET})
    assert ask("DELETE", "/api/integrations/langsmith").status_code == 204
    assert client.get_integrations()["langsmith"] == {}
    assert site.book.store("ours").sealed.open("integration", "langsmith", "api_key") is None


@pytest.mark.wire("kayba: POST /api/integrations/{integration}/test")
def test_test_integration(client: KaybaClient, mlflow: MlflowPlace) -> None:
    """POST /integrations/:name/test."""
    assert client.test_integration("mlflow") == {
        "connected": False,
        "error": "mlflow is not set up: trackingUri is not set",
    }
    client.update_integration(
        "mlflow", {"trackingUri": mlflow.url, "authType": "bearer", "token": "wrong-token-here"}
    )
    answer = client.test_integration("mlflow")
    assert not answer["connected"]
    assert ": 401: " in answer["error"]
    assert "wrong-token-here" not in answer["error"]
    client.update_integration("mlflow", {"token": SECRET})
    assert client.test_integration("mlflow") == {
        "connected": True,
        "mlflowVersion": "3.17.2",
        "experimentCount": 1,
    }


def test_private_networks_need_the_operator(make_site: MakeSite, mlflow: MlflowPlace) -> None:
    """The address of this machine is refused unless the operator allows it."""
    site = make_site()
    client, ask = kayba(site), asker(site)
    client.update_integration("mlflow", {"trackingUri": mlflow.url, "experimentName": "support"})
    answer = client.test_integration("mlflow")
    assert "is at 127.0.0.1, in a private network" in answer["error"]
    refused = ask("GET", "/api/integrations/mlflow/projects")
    assert (refused.status_code, "in a private network" in refused.json()["detail"]) == (424, True)
    job_id = ask("POST", "/api/integrations/mlflow/import", {}).json()["jobId"]
    site.work_off()
    job = client.get_job(job_id)
    assert (job["status"], "in a private network" in job["error"]) == ("failed", True)
    assert mlflow.asked == []


def test_list_projects(client: KaybaClient, ask: Ask, mlflow: MlflowPlace) -> None:
    """GET /integrations/:name/projects, which is ours."""
    unset = ask("GET", "/api/integrations/mlflow/projects")
    assert (unset.status_code, unset.json()["detail"]) == (
        422,
        "mlflow is not set up: trackingUri is not set",
    )
    client.update_integration("mlflow", {"trackingUri": mlflow.url, "authType": "bearer", "token": SECRET})
    answer = ask("GET", "/api/integrations/mlflow/projects")
    assert answer.json() == {"projects": [{"id": "1", "name": "support"}]}
    mlflow.instead = [Said(500, {})]
    assert ask("GET", "/api/integrations/mlflow/projects").status_code == 424
    mlflow.instead = [Said(200, {"experiments": [3]})]
    assert ask("GET", "/api/integrations/mlflow/projects").status_code == 424


def test_import_as_a_job(client: KaybaClient, ask: Ask, site: Site, mlflow: MlflowPlace) -> None:
    """POST /integrations/:name/import, which is ours: a job, whose traces every platform's path shows."""
    client.update_integration("mlflow", {"trackingUri": mlflow.url, "authType": "bearer", "token": SECRET})
    unnamed = ask("POST", "/api/integrations/mlflow/import", {})
    assert (unnamed.status_code, unnamed.json()["detail"]) == (
        422,
        "mlflow: say which project, or set experimentName",
    )
    body = {"project": "support", "since": "2026-11-22T12:02:00Z", "limit": 5}
    started = ask("POST", "/api/integrations/mlflow/import", body)
    assert started.status_code == 200
    job_id = started.json()["jobId"]
    assert ask("POST", "/api/integrations/mlflow/import", body).status_code == 409
    job = client.get_job(job_id)
    assert (job["jobId"], job["status"]) == (job_id, "queued")
    site.work_off()
    job = client.get_job(job_id)
    assert (job["status"], job["result"]) == (
        "completed",
        {"summary": {"traces": 2, "new": 2, "leftOut": 0, "reasons": []}},
    )
    assert [meta["id"] for meta in client.list_traces()["traces"]] == [f"{3:032x}", f"{2:032x}"]
    assert ask("GET", "/api/v1/traces?project=support").json() is not None

    again = ask("POST", "/api/integrations/mlflow/import", {"project": "support"}).json()["jobId"]
    site.work_off()
    assert client.get_job(again)["result"]["summary"]["new"] == 1
    assert len(client.list_traces()["traces"]) == 3


def test_an_import_that_fails_says_why(
    client: KaybaClient, ask: Ask, site: Site, mlflow: MlflowPlace
) -> None:
    """POST /integrations/:name/import: the job has the reason."""
    client.update_integration("mlflow", {"trackingUri": mlflow.url, "authType": "bearer", "token": SECRET})
    job_id = ask("POST", "/api/integrations/mlflow/import", {"project": "nobody"}).json()["jobId"]
    site.work_off()
    job = client.get_job(job_id)
    assert (job["status"], job["error"]) == ("failed", "mlflow has no project 'nobody'; there are: 'support'")
    assert ask("POST", f"/api/jobs/{job_id}").status_code == 409


def test_import_from_langsmith(client: KaybaClient, ask: Ask, site: Site) -> None:
    """POST /integrations/:name/import of LangSmith."""
    with LangsmithPlace() as place:
        place.authorization = SECRET
        client.update_integration(
            "langsmith", {"apiUrl": place.url, "apiKey": SECRET, "projectName": "support"}
        )
        assert client.test_integration("langsmith") == {"connected": True}
        job_id = ask("POST", "/api/integrations/langsmith/import", {"limit": 1}).json()["jobId"]
        site.work_off()
    assert client.get_job(job_id)["result"]["summary"]["traces"] == 1
    assert [meta["id"] for meta in client.list_traces()["traces"]] == [uuid(3)]


def test_put_and_import_braintrust(ask: Ask, site: Site, braintrust: BraintrustPlace) -> None:
    """PUT /integrations/braintrust and its import, which are ours."""
    shown = {"apiUrl": braintrust.url, "apiKey": MASKED, "projectName": "support"}
    assert ask("PUT", "/api/integrations/braintrust", {"apiKey": MASKED}).json() == shown
    assert ask("GET", "/api/integrations").json()["braintrust"] == shown
    job_id = ask("POST", "/api/integrations/braintrust/import", {}).json()["jobId"]
    site.work_off()
    assert ask("GET", f"/api/jobs/{job_id}").json()["result"]["summary"]["traces"] == 3
    assert len(site.book.store("ours").shelf.ids()) == 3


@pytest.mark.wire("kalmia: GET /api/braintrust/traces")
def test_list_braintrust_traces(kalmia: KalmiaClient, braintrust: BraintrustPlace) -> None:
    """GET /api/braintrust/traces: pages of the project that is set, or of the one that is named."""
    first = kalmia.list_braintrust_traces(limit=2)
    assert [trace.id for trace in first.traces] == ["root-3", "root-2"]
    assert first.traces[0].project_id == "support"
    assert [span.id for span in first.traces[0].spans] == ["root-3", "call-3"]
    last = kalmia.list_braintrust_traces("support", limit=2, cursor=first.next_cursor)
    assert ([trace.id for trace in last.traces], last.next_cursor) == (["root-1"], None)
    with pytest.raises(KalmiaError, match="braintrust has no project 'nobody'") as caught:
        kalmia.list_braintrust_traces("nobody")
    assert caught.value.status_code == 404
    braintrust.authorization = "another"
    with pytest.raises(KalmiaError) as caught:
        kalmia.list_braintrust_traces()
    assert caught.value.status_code == 424


@pytest.mark.wire("kalmia: GET /api/braintrust/traces/{trace_id}")
def test_get_braintrust_trace(kalmia: KalmiaClient, braintrust: BraintrustPlace, book: Book) -> None:
    """GET /api/braintrust/traces/:id: one trace with its spans; nothing is stored."""
    trace = kalmia.get_braintrust_trace("root-2")
    assert (trace.id, trace.input, len(trace.spans)) == ("root-2", "q2", 2)
    for unknown in ("root-9", "run-2", "x' OR 'a' = 'a"):
        with pytest.raises(KalmiaError, match="there is no trace") as caught:
            kalmia.get_braintrust_trace(unknown)
        assert caught.value.status_code == 404
    assert book.store("ours").shelf.ids() == []


def test_an_experiment_finds_what_is_in_braintrust(
    kalmia: KalmiaClient, ask: Ask, site: Site, braintrust: BraintrustPlace
) -> None:
    """GET /api/experiments/:id: ids that are not held are looked up in the Braintrust project."""
    ask("POST", "/api/integrations/braintrust/import", {"limit": 1})
    site.work_off()
    braintrust.asked.clear()
    made = kalmia.create_experiment("e", ["run-1", "run-3", "nobody"])
    detail = kalmia.get_experiment(made.id)
    assert [trace.id for trace in detail.traces] == ["root-3", "root-1"]
    assert detail.metrics is not None
    assert detail.metrics.traces == 2
    (query,) = [asked.body["query"] for asked in braintrust.asked if asked.path == "/btql"]
    assert ("'run-1', 'nobody'" in query, "run-3" in query) == (True, False)
    held = kalmia.create_experiment("held", ["run-3"])
    braintrust.asked.clear()
    assert len(kalmia.get_experiment(held.id).traces) == 1
    assert braintrust.asked == []
    # What is here is shown also when Braintrust cannot be asked.
    braintrust.authorization = "another"
    assert [trace.id for trace in kalmia.get_experiment(made.id).traces] == ["root-3"]
    ask("PUT", "/api/integrations/braintrust", {"enabled": False})
    braintrust.asked.clear()
    assert [trace.id for trace in kalmia.get_experiment(made.id).traces] == ["root-3"]
    assert braintrust.asked == []


def test_braintrust_that_is_not_set_up(kalmia: KalmiaClient) -> None:
    """GET /api/braintrust/traces without a key says what is missing."""
    with pytest.raises(KalmiaError, match="braintrust: apiKey is not set") as caught:
        kalmia.list_braintrust_traces()
    assert caught.value.status_code == 422


def test_an_import_is_started_once_for_an_idempotency_key(ask: Ask, site: Site, mlflow: MlflowPlace) -> None:
    """POST /integrations/:name/import with an Idempotency-Key."""
    ask("PUT", "/api/integrations/mlflow", {"trackingUri": mlflow.url, "experimentName": "support"})

    async def sent() -> httpx.Response:
        async with site.client("both") as client:
            return await client.post(
                "/api/integrations/mlflow/import", json={}, headers={"Idempotency-Key": "k1"}
            )

    first = BACKGROUND.run(sent())
    assert BACKGROUND.run(sent()).json() == first.json()
    assert len(site.book.store("ours").jobs.newest(kind=jobs.IMPORT)) == 1


class TestWithoutKey:
    """On PostgreSQL, where no file holds the key for secrets."""

    @pytest.fixture
    def home(self) -> str:
        return "postgresql"

    def test_it_says_what_the_operator_must_do(
        self, ask: Ask, client: KaybaClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.update_integration("mlflow", {"trackingUri": "http://127.0.0.1:5000", "token": SECRET})
        ask("PUT", "/api/integrations/braintrust", {"apiKey": SECRET, "projectName": "p"})
        monkeypatch.delenv(sealed.KEY_VARIABLE)
        for answer in (
            ask("PUT", "/api/integrations/langsmith", {"apiKey": SECRET}),
            ask("GET", "/api/integrations/mlflow/projects"),
            ask("GET", "/api/braintrust/traces"),
            ask("GET", "/api/braintrust/traces/root-1"),
        ):
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "NO_SECRET_KEY"
            assert answer.json()["detail"].startswith("set KAIZEN_SECRET_KEY: ")
        assert client.get_integrations() == {
            "mlflow": {"trackingUri": "http://127.0.0.1:5000", "token": "****"},
            "langsmith": {},
            "braintrust": {"apiKey": "****", "projectName": "p"},
        }
        assert "set KAIZEN_SECRET_KEY" in client.test_integration("mlflow")["error"]
        assert ask("PUT", "/api/integrations/langsmith", {"projectName": "p"}).status_code == 200
