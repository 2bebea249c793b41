"""Kaizen CT's models against ours."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from pytest_kaizen import CTClient, Trace
from pytest_kaizen.models import FeedbackCount, Task
from pytest_kaizen.platforms import kaizen_ct
from pytest_kaizen.platforms.kaizen_ct.keys import FirstKeyClient
from tests.platforms.conftest import Loopback

NOW = datetime(2026, 3, 30, 10, 0, tzinfo=UTC)
ID = UUID("3b4e1f2a-0000-4000-8000-000000000001")


def trace(**values: Any) -> Trace:
    return Trace(id="t-1", name="test_x", created_at=NOW, **values)


def test_a_trace_as_feedback() -> None:
    made = kaizen_ct.FeedbackCreate.of(
        trace(input={"ticket": "x", "urgent": None}, output="A login issue.", metadata={"suite": "smoke"}),
        task_id="summarize_ticket",
        score=0.9,
    )
    assert made.to_json() == {
        "task_id": "summarize_ticket",
        "inputs": {"ticket": "x", "urgent": None},
        "output": "A login issue.",
        "score": 0.9,
        "source": "sdk",
        "metadata": {"suite": "smoke", "kaizen_id": "t-1"},
    }


def test_a_trace_whose_input_and_output_have_another_shape() -> None:
    made = kaizen_ct.FeedbackCreate.of(trace(input="x", output={"answer": 1}), task_id="t", score=None)
    assert (made.inputs, made.output, made.score) == ({"input": "x"}, '{"answer":1}', None)


def test_a_prompt_as_a_version_of_ours() -> None:
    prompt = kaizen_ct.Prompt(
        id=ID, task_id=ID, version_number=3, status="active", created_at=NOW, prompt_text="é", eval_score=0.9
    )
    version = prompt.to_version("summarize_ticket")
    assert version is not None
    assert version.sha256 == hashlib.sha256("é".encode()).hexdigest()
    assert (version.task, version.version, version.text) == ("summarize_ticket", 3, "é")
    assert (version.source, version.eval_score, version.created_at) == ("platform", 0.9, NOW)
    assert prompt.model_copy(update={"prompt_text": None}).to_version("summarize_ticket") is None


@pytest.mark.parametrize(("status", "state"), list(kaizen_ct.JOB_STATES.items()))
def test_states_of_a_job(status: str, state: str) -> None:
    assert kaizen_ct.Job(id=ID, task_id=ID, status=status, created_at=NOW).state == state


def test_older_names_are_read_and_the_newer_ones_win() -> None:
    task = kaizen_ct.TaskCreate.model_validate(
        {"name": "t", "git_repo": "acme/bot", "github_repo": "old/bot", "github_base_branch": "main"}
    )
    assert task.to_json() == {"name": "t", "git_repo": "acme/bot", "git_base_branch": "main"}


def test_a_token_is_not_shown() -> None:
    task = kaizen_ct.TaskCreate.model_validate({"name": "t", "github_token_raw": "ghp-hidden"})
    assert "hidden" not in repr(task)
    assert task.to_json()["git_token_raw"] == "ghp-hidden"
    key = kaizen_ct.KeyCreated(id=ID, label="ci", created_at=NOW, key="ct-hidden")
    assert "hidden" not in repr(key)


@pytest.mark.parametrize(
    "values",
    [{"inputs": {}}, {"task_id": "t", "score": 1.01}, {"task_id": "t", "score": float("nan")}],
)
def test_wrong_feedback(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kaizen_ct.FeedbackCreate.model_validate(values)


def test_a_task_of_ours_as_theirs() -> None:
    task = Task(
        id=str(ID),
        name="triage",
        input_schema={"properties": {"ticket": {}}},
        target_model="claude-haiku-4-5",
        evaluator_config={"type": "judge"},
        created_at=NOW,
    )
    shown = kaizen_ct.Task.of(task, FeedbackCount(total=14, fresh=12), active_prompt_score=0.5).to_json()
    assert (shown["id"], shown["name"], shown["schema_json"]) == (str(ID), "triage", task.input_schema)
    assert (shown["feedback_count"], shown["threshold_progress"]) == (14, "12/50")
    assert (shown["active_prompt_score"], shown["last_optimization"]) == (0.5, None)
    assert (shown["evaluator_config"], shown["feedback_retention_limit"]) == ({"type": "judge"}, 1000)
    # A key of ours, which theirs does not have, is there only with a value.
    assert shown["target_model"] == "claude-haiku-4-5"
    task.target_model = None
    assert {*shown} - {*kaizen_ct.Task.of(task, FeedbackCount(total=0, fresh=0)).to_json()} == {
        "target_model"
    }


def test_a_task_of_theirs_as_ours() -> None:
    asked = kaizen_ct.TaskCreate.model_validate(
        {
            "name": "triage",
            "schema_json": {"ticket": "string"},
            "judge_model": "m",
            "github_repo": "acme/bot",
            "git_token_raw": "ghp_secret",
            "colour": "red",
        }
    )
    task = asked.to_task(NOW)
    assert (task.name, task.judge_model, task.git_repo) == ("triage", "m", "acme/bot")
    assert (task.feedback_threshold, task.feedback_retention_limit, task.feedback_source) == (50, 1000, "sdk")
    assert task.fields == frozenset({"ticket"})
    assert "ghp_secret" not in task.model_dump_json()
    # Whoever starts the searches of a task asks for a threshold that it never reaches.
    assert (
        asked.model_copy(update={"feedback_threshold": 10**9}).to_task(NOW).feedback_retention_limit == 1000
    )


def test_feedback_by_the_name_of_a_task_that_is_not_known() -> None:
    asked = kaizen_ct.FeedbackCreate(
        task_name="triage",
        inputs={"ticket": "x", "customer": "y"},
        output="urgent",
        score=0.5,
        metadata={"user": 7},
        feedback_threshold=5,
        mode="auto_pr",
    )
    task = asked.to_task(NOW)
    assert (task.name, task.fields) == ("triage", frozenset({"ticket", "customer"}))
    assert (task.feedback_threshold, task.mode) == (5, "auto_pr")
    entry = asked.to_entry(task.id, NOW)
    assert (entry.task_id, entry.inputs, entry.output) == (task.id, asked.inputs, "urgent")
    shown = kaizen_ct.FeedbackResult.of(entry).to_json()
    assert shown == {
        "id": entry.id,
        "task_id": task.id,
        "inputs": {"ticket": "x", "customer": "y"},
        "output": "urgent",
        "score": 0.5,
        "source": "sdk",
        "metadata_": {"user": 7},
        "created_at": "2026-03-30T10:00:00Z",
    }


def test_examples_are_uploaded_as_a_form_with_a_file(loopback: Loopback) -> None:
    loopback.answer(200, '{"accepted": 1, "rejected": 0, "total_seeds": 1, "seed_limit": 1000}')
    with CTClient("ct-key", loopback.url) as client:
        done = client.seed_task("a task", '{"inputs": {"é": 1}}', "more.jsonl")
    assert (done.accepted, done.seed_limit) == (1, 1000)
    (request,) = loopback.received
    assert request.line == "POST /api/v1/tasks/a%20task/seed HTTP/1.1"
    kind, _, boundary = request.headers["content-type"].partition("; boundary=")
    assert (kind, request.headers["x-api-key"]) == ("multipart/form-data", "ct-key")
    head, _, content = request.body.partition(b"\r\n\r\n")
    assert b'name="file"; filename="more.jsonl"' in head
    assert content == f'{{"inputs": {{"é": 1}}}}\r\n--{boundary}--\r\n'.encode()


def test_the_first_key_needs_none(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIZEN_API_KEY", "of-another-server")
    loopback.answer(200, '{"has_keys": false, "count": 0}')
    made = '{"id": "3b4e1f2a-0000-4000-8000-000000000001", "label": "me", "key": "kz_1"'
    loopback.answer(201, made + ', "created_at": "2026-03-30T10:00:00Z"}')
    with FirstKeyClient(base_url=loopback.url) as client:
        assert client.key_status().to_json() == {"has_keys": False, "count": 0}
        key = client.bootstrap("me")
    assert (key.key, "kz_1" in repr(key)) == ("kz_1", False)
    assert [request.line for request in loopback.received] == [
        "GET /api/v1/keys/status HTTP/1.1",
        "POST /api/v1/keys/bootstrap HTTP/1.1",
    ]
    assert all("x-api-key" not in request.headers for request in loopback.received)
