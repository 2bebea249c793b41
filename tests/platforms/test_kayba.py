"""Kayba's error codes, and its calls that are several."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen import KaybaClient
from pytest_kaizen.errors import KaybaAPIError
from pytest_kaizen.platforms import kayba

if TYPE_CHECKING:
    from tests.platforms.conftest import Loopback

KEY = "kayba-secret-0123456789"


@pytest.fixture
def client(loopback: Loopback) -> KaybaClient:
    return KaybaClient(KEY, f"{loopback.url}/api")


def test_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KaybaAPIError) as error:
        KaybaClient()
    assert (error.value.code, error.value.status_code) == ("AUTH_MISSING", None)
    assert str(error.value).startswith("AUTH_MISSING: Kayba: no key: give api_key, or set KAYBA_API_KEY")
    monkeypatch.setenv("KAYBA_API_KEY", KEY)
    assert KaybaClient().base_url == "https://use.kayba.ai/api"
    monkeypatch.setenv("KAYBA_API_URL", "https://kayba.test/api/")
    assert KaybaClient().base_url == "https://kayba.test/api"


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ('{"error": {"code": "NOT_FOUND", "message": "Trace not found"}}', "NOT_FOUND", "Trace not found"),
        ('{"error": {"message": "Trace not found"}}', "UNKNOWN", "Trace not found"),
        ('{"error": "Trace not found"}', "API_ERROR", "Trace not found"),
        ('{"title": "Not Found", "detail": "no trace t-1"}', "UNKNOWN", "no trace t-1"),
        ("<html>Not Found</html>", "HTTP_ERROR", "GET {url}/api/traces/t-1: 404: <html>Not Found</html>"),
        ("", "HTTP_ERROR", "GET {url}/api/traces/t-1: 404: Said"),
    ],
)
def test_codes(loopback: Loopback, client: KaybaClient, body: str, code: str, message: str) -> None:
    loopback.answer(404, body)
    with pytest.raises(KaybaAPIError) as error:
        client.get_trace("t-1")
    expected = message.replace("{url}", loopback.url)
    assert (error.value.code, error.value.message, error.value.status_code) == (code, expected, 404)
    assert str(error.value) == f"{code}: {expected}"


def test_errors_reach_other_processes() -> None:
    error = KaybaAPIError("NOT_FOUND", "no trace", 404, {"a": 1}, transient=True, retry_after=3.0)
    there = pickle.loads(pickle.dumps(error))
    assert (str(there), vars(there)) == (str(error), vars(error))


def test_a_page_in_place_of_json(loopback: Loopback, client: KaybaClient) -> None:
    loopback.answer(200, "<html>Log in</html>", "text/html")
    with pytest.raises(KaybaAPIError, match="where JSON was promised: '<html>Log in</html>'") as error:
        client.list_traces()
    assert error.value.code == "HTTP_ERROR"


def test_codes_without_an_answer(loopback: Loopback) -> None:
    loopback.silence()
    with pytest.raises(KaybaAPIError) as error:
        KaybaClient(KEY, loopback.url, timeout=3.0).generate_prompt()
    assert (error.value.code, error.value.transient) == ("TIMEOUT", True)
    loopback.send(b"")
    with pytest.raises(KaybaAPIError) as error:
        KaybaClient(KEY, loopback.url).generate_insights()
    assert (error.value.code, error.value.transient) == ("CONNECTION_ERROR", True)
    assert len(loopback.received) == 2


def test_no_content_reads_as_an_empty_object(loopback: Loopback, client: KaybaClient) -> None:
    loopback.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    assert client.delete_trace("t-1") == {}
    assert loopback.received[0].line == "DELETE /api/traces/t-1 HTTP/1.1"


def test_prompts_in_an_object_are_read_too(loopback: Loopback, client: KaybaClient) -> None:
    loopback.answer(200, '{"prompts": [{"id": "p-2", "version": 2, "label": null}]}')
    assert client.list_prompts() == [{"id": "p-2", "version": 2, "label": None}]


def test_several_are_deleted_one_by_one(loopback: Loopback, client: KaybaClient) -> None:
    loopback.answer(200, "{}")
    loopback.answer(404, '{"error": {"code": "NOT_FOUND", "message": "Trace not found"}}')
    loopback.answer(200, "{}")
    result = client.delete_traces(["a", "b", "c"])
    assert result == {"deleted": ["a", "c"], "errors": [{"id": "b", "error": "Trace not found"}]}
    assert kayba.Deleted.model_validate(result).to_json() == result


def test_files_are_not_sent_twice(loopback: Loopback, client: KaybaClient) -> None:
    loopback.answer(502, "{}")
    with pytest.raises(KaybaAPIError):
        client.upload_traces([{"filename": "a.md", "content": "", "fileType": "md"}])
    assert len(loopback.received) == 1


def test_secrets_of_a_call_are_not_quoted(loopback: Loopback, client: KaybaClient) -> None:
    loopback.answer(400, '{"error": "bad key sk-ant-hidden"}')
    with pytest.raises(KaybaAPIError, match=r"API_ERROR: bad key \[secret\]") as error:
        client.generate_insights(anthropic_key="sk-ant-hidden")
    loopback.answer(400, f'{{"error": {{"code": "BAD", "message": "lsv2-hidden and {KEY}"}}}}')
    with pytest.raises(KaybaAPIError) as second:
        client.update_integration("langsmith", {"api_key": "lsv2-hidden"})
    assert str(second.value) == "BAD: [secret] and [key]"
    shown = (
        str(vars(error.value)) + str(vars(second.value)) + repr(kayba.LangsmithConfig(api_key="lsv2-hidden"))
    )
    assert "hidden" not in shown
    assert KEY not in shown


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", "queued"),
        ("running", "running"),
        ("completed", "succeeded"),
        ("failed", "failed"),
        ("?", "running"),
    ],
)
def test_states_of_a_job(status: str, state: str) -> None:
    assert kayba.Job(job_id="job-1", status=status).state == state
