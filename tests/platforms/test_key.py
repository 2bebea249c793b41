"""Keys and other secrets: sent, and shown nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen import CTClient, KalmiaClient
from pytest_kaizen.errors import CTError, CTValidationError, KalmiaError
from pytest_kaizen.platforms.connections import BACKGROUND

if TYPE_CHECKING:
    from tests.platforms.conftest import Loopback

KEY = "ct-secret-0123456789"
SCORED = (
    '{"id": "9e8d7c6b-0000-4000-8000-000000000005", "task_id": "3b4e1f2a-0000-4000-8000-000000000001",'
    ' "created_at": "2026-03-30T10:00:00Z", "score": 0.5}'
)


@pytest.fixture
def client(loopback: Loopback) -> CTClient:
    return CTClient(KEY, loopback.url, timeout=30.0)


def test_what_an_answer_names_is_shown_without_commands_or_keys(loopback: Loopback) -> None:
    score = f'{{"\\u001b[31m {KEY}": {{"mean": "no", "n": 1}}}}'
    loopback.answer(
        200,
        '{"id": "e", "name": "x", "correlationIds": [], "createdAt": "2026-03-30T10:00:00Z",'
        f' "metrics": {{"score": {score}}}}}',
    )
    with pytest.raises(KalmiaError, match=r"metrics\.score\. ?\[31m \[key\]\.mean: Input should be"):
        KalmiaClient(KEY, loopback.url).get_experiment("e")


def test_secrets_in_a_body_are_not_quoted(loopback: Loopback, client: CTClient) -> None:
    tokens: list[dict[str, Any]] = [{"git_token_raw": "ghp-hidden"}, {"github_token_raw": "ghp-hidden"}]
    for token in tokens:
        loopback.answer(
            422, '{"detail": [{"loc": ["body"], "msg": "bad ghp-hidden", "input": "ghp-hidden"}]}'
        )
        with pytest.raises(CTValidationError, match=r"422: body: bad \[secret\]") as error:
            client.create_task("summarize", **token)
        assert "hidden" not in str(vars(error.value))


def test_the_key_is_shown_nowhere(loopback: Loopback, client: CTClient) -> None:
    loopback.answer(401, f'{{"detail": "unknown key {KEY}", "title": "{KEY}"}}')
    loopback.answer(200, f"no json: {KEY}")

    async def http() -> list[str]:
        return [repr(client._connected()), repr(client._connected().headers)]

    shown = [repr(client), str(vars(client)), *BACKGROUND.run(http())]
    for _ in range(2):
        with pytest.raises(CTError) as error:
            client.list_tasks()
        shown += [str(error.value), repr(error.value), str(error.value.detail), str(vars(error.value))]
    assert loopback.received[0].headers["x-api-key"] == KEY
    assert [text for text in shown if KEY in text] == []
    assert "unknown key [key]" in "".join(shown)


def test_answers_are_not_changed_where_they_hold_the_key(loopback: Loopback) -> None:
    loopback.answer(200, SCORED.replace('"score"', '"model": "dev-7b", "score"'))
    assert CTClient("dev", loopback.url).score("t-1", 0.5).model == "dev-7b"
