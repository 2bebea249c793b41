"""Both Kayba clients against a server made from their wire models, and both against golden JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from pytest_kaizen import KaybaClient
from pytest_kaizen.errors import KaybaAPIError
from pytest_kaizen.platforms import kayba as wire
from pytest_kaizen.platforms.kayba.client import AsyncKaybaClient

if TYPE_CHECKING:
    from tests.contract.conftest import Golden

URL = "http://kayba.test/api"
LANGSMITH = {
    "enabled": True,
    "apiUrl": "https://eu.api.smith.langchain.com",
    "apiKey": "lsv2-example-wxyz",
    "projectName": "bot",
}

#: By golden file: the arguments, and the models that the server reads and answers with.
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any], type[BaseModel] | None, type[BaseModel] | None]] = {
    "list_traces": ((), {}, None, wire.TraceMetas),
    "upload_traces": (
        ([{"filename": "trace.md", "content": "# A trace\n\n", "fileType": "md"}],),
        {},
        wire.UploadRequest,
        wire.Uploaded,
    ),
    "get_trace": (("conv-123",), {}, None, wire.TraceFile),
    "get_traces": ((["conv-123"],), {}, wire.BatchRequest, wire.TraceFiles),
    "delete_trace": (("conv-123",), {}, None, None),
    "generate_insights": (
        (["conv-123", "conv-456"],),
        {
            "model": "claude-sonnet-4-6",
            "epochs": 2,
            "reflector_mode": "recursive",
            "anthropic_key": "sk-example",
        },
        wire.GenerateInsights,
        wire.JobStarted,
    ),
    "generate_insights_of_all": ((), {}, wire.GenerateInsights, wire.JobStarted),
    "list_insights": (("pending", "tools"), {}, None, wire.Insights),
    "triage_insight": (("ins-1", "rejected", "Too vague"), {}, wire.Triage, wire.Insight),
    "get_job": (("job-1",), {}, None, wire.Job),
    "list_jobs": (("triage", "insights", 2), {}, None, wire.Jobs),
    "cancel_job": (("job-1",), {}, None, wire.Job),
    "materialize_job": (("job-1",), {}, None, wire.Materialized),
    "generate_prompt": ((["ins-1"], "v2-coding"), {}, wire.GeneratePrompt, wire.GeneratedPrompt),
    "list_prompts": ((), {}, None, wire.Prompts),
    "get_prompt": (("p-2",), {}, None, wire.Prompt),
    "get_integrations": ((), {}, None, wire.Integrations),
    "update_integration": (("langsmith", LANGSMITH), {}, wire.LangsmithConfig, wire.LangsmithConfig),
    "test_integration": (("mlflow",), {}, None, wire.IntegrationTest),
    "forget_integration": (("mlflow",), {}, None, None),
    "list_projects": (("mlflow",), {}, None, wire.SourceProjects),
    "import_traces": (
        ("mlflow", "support", datetime(2026, 1, 31, tzinfo=UTC), 500),
        {},
        wire.ImportRequest,
        wire.JobStarted,
    ),
}


@pytest.fixture
def kayba(golden: Callable[[str], Golden]) -> Golden:
    return golden("kayba")


def method_of(name: str) -> str:
    return name.removesuffix("_of_all")


def test_every_call_has_its_golden_file(kayba: Golden) -> None:
    assert kayba.names == sorted(CALLS)
    public = {name for name in dir(KaybaClient) if not name.startswith("_")}
    calls = {name for name in public if callable(getattr(KaybaClient, name))}
    assert calls == {*map(method_of, CALLS), "delete_traces", "close"}


@pytest.mark.parametrize("name", CALLS)
def test_sync(kayba: Golden, name: str) -> None:
    args, kwargs, reads, answers = CALLS[name]
    fake = kayba.fake(name, reads, answers)
    with KaybaClient("kayba-key", URL, transport=fake.transport) as client:
        result = getattr(client, method_of(name))(*args, **kwargs)
    fake.assert_contract()
    assert result == fake.exchange.answer
    assert fake.headers[0]["authorization"] == "Bearer kayba-key"
    assert "x-api-key" not in fake.headers[0]


@pytest.mark.asyncio
async def test_async(kayba: Golden) -> None:
    fake = kayba.fake("list_prompts", None, wire.Prompts)
    async with AsyncKaybaClient("kayba-key", URL, transport=fake.transport) as client:
        prompts = await client.list_prompts()
    fake.assert_contract()
    assert prompts[0]["id"] == "p-2"


def test_the_platforms_own_example(kayba: Golden) -> None:
    fake = kayba.fake("generate_insights", None, wire.JobStarted)
    client = KaybaClient(api_key="your-key", base_url=URL, transport=fake.transport)
    job = client.generate_insights(trace_ids=["conv-123", "conv-456"], model="claude-sonnet-4-6")
    assert job["jobId"] == "job-1"
    assert fake.seen[0]["body"] == {"traceIds": ["conv-123", "conv-456"], "model": "claude-sonnet-4-6"}


def test_bodies_of_the_server(kayba: Golden) -> None:
    kayba.assert_bodies(wire)


def test_what_the_platform_adds_is_passed_on(kayba: Golden) -> None:
    class Later(wire.Materialized):
        later: str

    fake = kayba.fake("materialize_job", None, Later)
    fake.exchange.answer["later"] = "more"
    result = KaybaClient("kayba-key", URL, transport=fake.transport).materialize_job("job-1")
    assert result == {"jobId": "job-1", "skillsGenerated": 3, "later": "more"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda client: client.triage_insight("ins-1", "maybe"), "Input should be 'accepted' or 'rejected'"),
        (lambda client: client.generate_insights(epochs=0), "epochs: .* greater than or equal to 1"),
        (
            lambda client: client.upload_traces([{"filename": "a.md", "content": ""}]),
            "fileType: Field required",
        ),
        (
            lambda client: client.update_integration("phoenix", {}),
            r"one of the integrations mlflow, langsmith, braintrust \(found 'phoenix'\)",
        ),
        (lambda client: client.get_trace(""), "'' is not an id"),
    ],
)
def test_wrong_arguments_are_not_sent(
    kayba: Golden, call: Callable[[KaybaClient], object], said: str
) -> None:
    fake = kayba.fake("list_traces")
    with pytest.raises(KaybaAPIError, match=said) as error:
        call(KaybaClient("kayba-key", URL, transport=fake.transport))
    assert error.value.code == "INVALID_REQUEST"
    assert fake.seen == []
