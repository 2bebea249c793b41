"""Both Kaizen CT clients against a server made from their wire models, and both against golden JSON."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, assert_type

import pytest
import trio
from pydantic import BaseModel

from pytest_kaizen import AsyncCTClient, CTClient
from pytest_kaizen import platforms as base_wire
from pytest_kaizen.errors import CTValidationError
from pytest_kaizen.platforms import kaizen_ct

if TYPE_CHECKING:
    from tests.contract.conftest import Golden

TASK = "3b4e1f2a-0000-4000-8000-000000000001"
VERSION = "7c8d9e0f-0000-4000-8000-000000000002"
JOB = "5a6b7c8d-0000-4000-8000-000000000003"
KEY = "4d5e6f70-0000-4000-8000-000000000006"
TRACE = "9e8d7c6b-0000-4000-8000-000000000005"

#: By golden file: the arguments, and the models that the server reads and answers with.
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any], type[BaseModel] | None, type[BaseModel] | None]] = {
    "log_feedback": (
        (TASK, {"ticket": "I cannot log in."}, "A login issue.", 0.9),
        {"metadata": {"session_id": "abc123"}},
        kaizen_ct.FeedbackCreate,
        kaizen_ct.FeedbackResult,
    ),
    "get_prompt": ((TASK,), {}, None, kaizen_ct.Prompt),
    "activate_prompt": ((TASK, VERSION), {}, kaizen_ct.ActivateRequest, kaizen_ct.Prompt),
    "trigger_optimization": ((TASK,), {}, None, kaizen_ct.OptimizeResult),
    "list_versions": ((TASK,), {}, None, kaizen_ct.PromptList),
    "get_job": ((JOB,), {}, None, kaizen_ct.Job),
    "retry_pr": ((JOB,), {}, None, kaizen_ct.Job),
    "create_pr": ((JOB,), {}, None, kaizen_ct.Job),
    "list_tasks": ((), {}, None, kaizen_ct.TaskList),
    "create_task": (
        ("summarize_ticket", "One sentence per ticket."),
        {"feedback_threshold": 100, "teacher_model": "gpt-4o", "judge_model": "gpt-4o-mini", "mode": None},
        kaizen_ct.TaskCreate,
        kaizen_ct.Task,
    ),
    "get_task": ((TASK,), {}, None, kaizen_ct.Task),
    "delete_task": ((TASK,), {}, None, None),
    "list_feedback": ((TASK, 20, 40), {}, None, kaizen_ct.FeedbackList),
    "list_keys": ((), {}, None, kaizen_ct.KeyList),
    "create_key": (("ci",), {}, kaizen_ct.KeyCreate, kaizen_ct.KeyCreated),
    "delete_key": ((KEY,), {}, None, None),
    "log_trace": (
        ("summarize_ticket", "Summarise: I cannot log in.", "A login issue.", "gpt-4o-mini", 41, 512.5),
        {
            "source_file": "app/prompts.py",
            "source_variable": "SUMMARIZE_TICKET",
            "metadata": {"ticket": 17},
        },
        kaizen_ct.TraceCreate,
        kaizen_ct.TraceResult,
    ),
    "score": ((TRACE, 0.85), {"scored_by": "human-review"}, kaizen_ct.ScoreRequest, kaizen_ct.TraceResult),
}


@pytest.fixture
def ct(golden: Callable[[str], Golden]) -> Golden:
    return golden("kaizen_ct")


def plain(result: Any) -> Any:
    if result is None:
        return None
    return [item.to_json() for item in result] if isinstance(result, list) else result.to_json()


def test_every_call_has_its_golden_file(ct: Golden) -> None:
    assert ct.names == sorted(CALLS)
    public = {name for name in dir(CTClient) if not name.startswith("_")}
    assert {name for name in public if callable(getattr(CTClient, name))} == {*CALLS, "seed_task", "close"}


@pytest.mark.parametrize("name", CALLS)
def test_sync(ct: Golden, name: str) -> None:
    args, kwargs, reads, answers = CALLS[name]
    fake = ct.fake(name, reads, answers)
    with CTClient("ct-key", "http://ct.test", transport=fake.transport) as client:
        result = getattr(client, name)(*args, **kwargs)
    fake.assert_contract()
    assert plain(result) == fake.exchange.answer
    assert fake.headers[0]["x-api-key"] == "ct-key"
    assert "authorization" not in fake.headers[0]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.asyncio
async def test_async(ct: Golden, name: str) -> None:
    args, kwargs, reads, answers = CALLS[name]
    fake = ct.fake(name, reads, answers)
    async with AsyncCTClient("ct-key", "http://ct.test", transport=fake.transport) as client:
        result = await getattr(client, name)(*args, **kwargs)
    fake.assert_contract()
    assert plain(result) == fake.exchange.answer


def test_async_under_trio(ct: Golden) -> None:
    fake = ct.fake("get_prompt", None, kaizen_ct.Prompt)

    async def fetch() -> kaizen_ct.Prompt:
        async with AsyncCTClient("ct-key", "http://ct.test", transport=fake.transport) as client:
            return await client.get_prompt(TASK)

    assert trio.run(fetch).version_number == 3


@pytest.mark.asyncio
async def test_sync_client_inside_a_running_loop(ct: Golden) -> None:
    fake = ct.fake("list_tasks", None, kaizen_ct.TaskList)
    with CTClient("ct-key", "http://ct.test", transport=fake.transport) as client:
        assert [task.name for task in client.list_tasks()] == ["summarize_ticket"]


def test_both_clients_show_the_signature_that_was_written() -> None:
    for client in (CTClient, AsyncCTClient):
        assert str(inspect.signature(client.activate_prompt)) == (
            "(self, task_id: 'str', version_id: 'str') -> 'Prompt'"
        )
        assert "forget the cached prompt" in (client.activate_prompt.__doc__ or "")
        parameters = inspect.signature(client).parameters
        assert [(name, parameters[name].default) for name in list(parameters)[:4]] == [
            ("api_key", None),
            ("base_url", None),
            ("cache_ttl", 300.0),
            ("timeout", 30.0),
        ]
    assert not inspect.iscoroutinefunction(CTClient.get_job)
    assert inspect.iscoroutinefunction(AsyncCTClient.get_job)


def test_type_checkers_see_what_each_client_returns(ct: Golden) -> None:
    """Checked by mypy, as all tests are; what runs is the rest of each line."""
    fake = ct.fake("get_prompt", None, kaizen_ct.Prompt)
    waiting = CTClient("ct-key", "http://ct.test", transport=fake.transport)
    awaited = AsyncCTClient("ct-key", "http://ct.test", transport=fake.transport)

    async def fetch() -> kaizen_ct.Prompt:
        return assert_type(await awaited.get_prompt(TASK), kaizen_ct.Prompt)

    assert assert_type(waiting.get_prompt(TASK), kaizen_ct.Prompt) == trio.run(fetch)
    with pytest.raises(TypeError):
        waiting.get_prompt()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        waiting.get_prompt(task=TASK)  # type: ignore[call-arg]


def test_posts_carry_an_idempotency_key_of_their_own(ct: Golden) -> None:
    fake = ct.fake("score", kaizen_ct.ScoreRequest, kaizen_ct.TraceResult)
    with CTClient("ct-key", "http://ct.test", transport=fake.transport) as client:
        client.score(TRACE, 0.85, "human-review")
        client.score(TRACE, 0.85, "human-review")
    first, second = (headers["idempotency-key"] for headers in fake.headers)
    assert first != second


def test_wrong_arguments_are_not_sent(ct: Golden) -> None:
    fake = ct.fake("score")
    with CTClient("ct-key", "http://ct.test", transport=fake.transport) as client:
        with pytest.raises(CTValidationError, match=r"not sent: score: .* less than or equal to 1") as error:
            client.score(TRACE, 1.5)
        assert error.value.status_code is None
        with pytest.raises(CTValidationError, match=r"not sent: .* cannot be written as JSON"):
            client.log_feedback(TASK, inputs={"ticket": object()})
        with pytest.raises(CTValidationError, match=r"'\.\.' is not an id \(for /api/v1/prompts/ID\)"):
            client.get_prompt("..")
    assert fake.seen == []


def test_ids_stay_one_segment(ct: Golden) -> None:
    fake = ct.fake("get_prompt", None, kaizen_ct.Prompt)
    with CTClient("ct-key", "http://ct.test/base/", transport=fake.transport) as client:
        client.get_prompt("a/../b ?")
    assert fake.seen[0]["path"] == "/base/api/v1/prompts/a%2F..%2Fb%20%3F"


def test_bodies_of_the_server(ct: Golden, golden: Callable[[str], Golden]) -> None:
    ct.assert_bodies(kaizen_ct)
    golden("shared").assert_bodies(base_wire)


def test_keys_from_the_future_are_ignored(ct: Golden) -> None:
    answer = json.loads((ct.folder / "get_job.json").read_text(encoding="utf-8"))["response"]["body"]
    job = kaizen_ct.Job.model_validate({**answer, "later": True, "status": "POLISHING"})
    assert job.status == "POLISHING"
    assert job.state == "running"
    assert not hasattr(job, "later")
