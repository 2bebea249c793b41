"""The rows of Kaizen CT's page about what a task may be, its pages and its examples."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from pytest_kaizen import CTClient
from pytest_kaizen.models import Task
from pytest_kaizen.server.routes.kaizen_ct import feedback
from tests.server.conftest import Book, Site
from tests.server.routes.test_kaizen_ct_jobs import NOBODY, give_prompt

SEEDS = "/api/v1/tasks/t/seed"


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def client(site: Site, book: Book) -> CTClient:
    transport = httpx.ASGITransport(app=site.app, raise_app_exceptions=False)
    return CTClient(book.keys["both"], "http://127.0.0.1:8000", transport=transport)


async def post(site: Site, path: str, key: str = "both", **what: Any) -> httpx.Response:
    async with site.client(key) as http:
        return await http.post(path, **what)


def lines(*entries: object) -> bytes:
    return "\n".join(map(json.dumps, entries)).encode()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        (
            {"evaluator_config": {"type": "custom_fn", "function": "os:remove"}},
            "body.evaluator_config: custom_fn.function: Python code is named in kaizen.yaml only",
        ),
        (
            {"evaluator_config": {"type": "judge", "criteria": [{"name": "a", "check": {"python": "os:x"}}]}},
            "body.evaluator_config: criteria.0.check: Python code is named in kaizen.yaml only",
        ),
        (
            {"evaluator_config": {"type": "judge", "criteria": [{"name": "a", "check": {"regex": "("}}]}},
            "body.evaluator_config: criteria.0.check.regex.pattern: not a valid regular expression",
        ),
        ({"evaluator_config": {"type": "magic"}}, "body.evaluator_config: Input tag 'magic' found"),
        (
            {"git_provider": "gitea"},
            "body.git_provider: Input should be 'github', 'gitlab' or 'bitbucket_server'",
        ),
        ({"prompt_format": "toml"}, "body.prompt_format: Input should be 'json', 'text', 'yaml' or 'python'"),
        ({"mode": "yolo"}, "body.mode: Input should be 'optimize_only', 'auto_pr' or 'pr_preview'"),
        ({"feedback_threshold": 0}, "body.feedback_threshold: Input should be greater than or equal to 1"),
    ],
)
@pytest.mark.parametrize("home", ["sqlite"])
@pytest.mark.wire("kaizen-ct rules: an evaluator over HTTP names no Python code")
async def test_what_no_task_may_be(site: Site, book: Book, fields: dict[str, Any], detail: str) -> None:
    """By itself, and as the one that feedback makes."""
    for path, body in (
        ("/api/v1/tasks", {"name": "t", **fields}),
        ("/api/v1/feedback", {"task_name": "t", **fields}),
    ):
        refused = await post(site, path, json=body)
        assert refused.status_code == 422, refused.text
        assert refused.json()["detail"].startswith(detail)
    assert book.store("ours").tasks.newest() == []


@pytest.mark.asyncio
@pytest.mark.wire("kaizen-ct: GET /api/v1/tasks")
@pytest.mark.wire("kaizen-ct rules: pages of tasks by cursor and limit")
async def test_all_tasks_come_page_by_page(
    client: CTClient, site: Site, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = book.store("ours")
    names = [f"t{number}" for number in range(5)]
    made = [Task(name=name, created_at="2026-01-01T00:00:00Z") for name in names]
    assert all(map(store.tasks.add, made))
    asked: list[str] = []
    newest = type(store.tasks).newest

    def counted(*given: Any, **more: Any) -> list[Task]:
        asked.append(str(more.get("before")))
        return newest(*given, **more)

    monkeypatch.setattr(type(store.tasks), "newest", counted)
    for size, pages in ((2, 3), (5, 2), (6, 1)):
        monkeypatch.setattr("pytest_kaizen.platforms.kaizen_ct.client._PAGE", size)
        asked.clear()
        assert [task.name for task in client.list_tasks()] == names[::-1]
        assert len(asked) == pages
    async with site.client("both") as http:
        for cursor, expected in (
            ("3", ["t1", "t0"]),
            (made[1].id, ["t0"]),
            (made[1].id.replace("-", ""), ["t0"]),
        ):
            page = await http.get(f"/api/v1/tasks?cursor={cursor}")
            assert [task["name"] for task in page.json()] == expected
        for wrong in (NOBODY, "x", "-" * 33, "1" * 10, "-1"):
            assert (await http.get(f"/api/v1/tasks?cursor={wrong}")).status_code == 422
        for wrong in ("0", "201", "x"):
            assert (await http.get(f"/api/v1/tasks?limit={wrong}")).status_code == 422


@pytest.mark.asyncio
@pytest.mark.wire("kaizen-ct: POST /api/v1/tasks/{task_id}/seed")
@pytest.mark.wire("kaizen-ct rules: a seed file is JSONL, and its seeds start nothing")
async def test_seed_files(client: CTClient, site: Site, book: Book) -> None:
    """A form as a browser sends it, or the file itself; what cannot be stored is told line by line."""
    task = client.create_task("t", schema_json={"properties": {"q": {}}}, feedback_threshold=2)
    give_prompt(client, book, "t")
    good = {"inputs": {"q": "Käse"}, "output": "cheese", "score": 1, "metadata": {"by": "ann"}}
    content = lines(
        good,
        {"inputs": {"q": "x"}, "score": 2},
        {"output": "no inputs"},
        {"inputs": {"a": 1}},
        ["a list"],
    )
    content = b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n", 1) + b"\n\n{broken\n"
    files = {"file": ("seeds.jsonl", content, "application/octet-stream")}
    answer = await post(site, SEEDS, files=files)
    assert answer.status_code == 200
    told = answer.json()
    assert {name: told[name] for name in told if name != "errors"} == {
        "accepted": 1,
        "rejected": 5,
        "total_seeds": 1,
        "seed_limit": 1000,
    }
    starts = (
        "line 2: score: ",
        "line 3: inputs: Field required",
        "line 4: inputs of 't': missing: q; unknown: a",
    )
    assert [error.startswith(start) for error, start in zip(told["errors"], starts, strict=False)] == [
        True
    ] * 3
    assert [error.partition(":")[0] for error in told["errors"]] == [f"line {n}" for n in (2, 3, 4, 5, 7)]
    [entry] = book.store("ours").feedback.newest(str(task.id))
    assert (entry.inputs, entry.output, entry.score, entry.source) == ({"q": "Käse"}, "cheese", 1.0, "seed")
    assert entry.metadata == {"by": "ann"}

    for sent in (
        {"content": lines(good, good), "headers": {"Content-Type": "application/x-ndjson"}},
        {"content": lines(good)},
        {"data": {"note": "x"}, "files": {"upload": ("s.jsonl", lines(good))}},
    ):
        again = await post(site, f"/api/v1/tasks/{task.id}/seed/", **sent)
        assert again.json()["rejected"] == 0, again.text
    assert again.json()["total_seeds"] == 5
    # Examples start no search, however many they are.
    assert client.list_tasks()[0].threshold_progress == "0/2"
    assert book.store("ours").jobs.newest() == []


@pytest.mark.asyncio
@pytest.mark.wire("kaizen-ct rules: a task has so many seeds at most")
async def test_seeds_are_limited_and_sent_twice_are_stored_once(
    client: CTClient, site: Site, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_kaizen.pipeline.feedback.logged.SEED_LIMIT", 3)
    monkeypatch.setattr("pytest_kaizen.pipeline.feedback.logged._MOST_ERRORS", 2)
    client.create_task("t", feedback_retention_limit=50)
    content = lines(*({"inputs": {"q": number}} for number in range(2)))
    headers = {"Idempotency-Key": "k1"}
    first = await post(site, SEEDS, content=content, headers=headers)
    assert (await post(site, SEEDS, content=content, headers=headers)).json() == first.json()
    told = (await post(site, SEEDS, content=lines(*[{"inputs": {"q": 9}}] * 4))).json()
    assert (told["accepted"], told["rejected"], told["total_seeds"]) == (1, 3, 3)
    assert told["errors"] == [
        "line 2: the task has 3 seeds, as many as it may",
        "line 3: the task has 3 seeds, as many as it may",
        "and 1 more lines",
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("home", ["sqlite"])
async def test_what_is_no_seed_file(
    client: CTClient, site: Site, make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create_task("t")
    monkeypatch.setattr(feedback, "_MOST_LINES", 4)
    deep = b"--b\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 5000
    parted = b"--b\r\ncontent-type:\r\n Multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n{}\r\n--c--\r\n--b--"
    odd = b"--b\r\nContent-Disposition: form-data; filename*=\0''x\r\n\r\nx\r\n--b--"
    boundary = {"Content-Type": "multipart/form-data; boundary=b"}
    for sent, detail in (
        ({"content": b""}, "the file is empty; it has a JSON object on each line"),
        ({"content": b"\n \n"}, "the file is empty"),
        ({"content": b"\xff\xfe"}, "the file is no UTF-8: invalid start byte at byte 0"),
        ({"data": {"a": "b"}, "files": {}, "headers": boundary}, "the form has no file"),
        ({"content": b"--b\r\n\r\nx\r\n--b--", "headers": boundary}, "the form has no file"),
        ({"content": b"--b\r\n\r\nx\r\n" * 102, "headers": boundary}, "the form cannot be read"),
        ({"content": deep, "headers": boundary}, "the form cannot be read"),
        ({"content": parted, "headers": boundary}, "the form cannot be read"),
        ({"content": odd, "headers": boundary}, "the form cannot be read"),
        ({"content": b"\n{}" * 5}, "the file has more than 4 lines; a task has 1000 seeds at most"),
        ({"content": b"junk", "headers": {"Content-Type": "multipart/form-data"}}, "the form has no file"),
    ):
        refused = await post(site, SEEDS, **sent)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "INVALID")
        assert refused.json()["detail"].startswith(detail)
    assert (await post(site, f"/api/v1/tasks/{NOBODY}/seed", content=b"{}")).status_code == 404
    assert (await post(site, SEEDS, "stranger", content=b"{}")).status_code == 404
    small = make_site(max_body_bytes=1024)
    assert (await post(small, SEEDS, content=b" " * 1025)).status_code == 413


@pytest.mark.asyncio
@pytest.mark.wire("kaizen-ct: POST /api/v1/keys")
@pytest.mark.parametrize("home", ["sqlite"])
async def test_a_key_needs_no_label(site: Site) -> None:
    made = await post(site, "/api/v1/keys", "rules", json={"label": None})
    assert (made.status_code, made.json()["label"]) == (201, "")
