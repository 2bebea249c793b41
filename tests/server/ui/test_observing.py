"""Experiments, behaviours and integrations on pages."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_kaizen.models import Behavior, Experiment, Score, ScoreSource, Span, Trace
from pytest_kaizen.pipeline.integrations import settings
from pytest_kaizen.store import Store
from tests.hostile import AT
from tests.server.conftest import Site

from .conftest import Browser, Html

pytestmark = pytest.mark.asyncio


def add_experiments(store: Store) -> None:
    """Store two experiments of two traces each, and a behaviour."""
    for name, values in (("e", (0.5, 0.7)), ("f", (0.8, 1.0))):
        for number, value in enumerate(values):
            span = Span(id="1", name="chat", started_at=AT, latency_ms=100.0 * (number + 1), cost_usd=0.25)
            score = Score(name="brief", value=value, source=ScoreSource.CHECK)
            trace = Trace(
                id=f"{name}{number}",
                name="t",
                created_at=AT,
                metadata={"correlationId": name},
                spans=[span],
                scores=[score],
                error="it broke" if number else None,
            )
            store.shelf.add([trace])
        store.experiments.add(Experiment(id=name, name=f"run {name}", correlation_ids=[name], created_at=AT))
    store.annotations.add_behavior(Behavior(label="vague", description="says nothing", created_at=AT))


@pytest.fixture
def store(site: Site) -> Store:
    found = site.book.store("ours")
    add_experiments(found)
    return found


async def test_an_experiment(browser: Browser, store: Store) -> None:
    await browser.sign_in("reads")
    page = await browser.page("/ui/experiments/e")
    assert "traces 2 errors 1 latency" in page.text
    assert "brief 0.60 2" in page.text
    assert {"/ui/traces/e0", "/ui/traces/e1"} <= set(page.links)
    assert "Analyse" not in page.text


async def test_experiments_side_by_side(browser: Browser, store: Store) -> None:
    await browser.sign_in("reads")
    boxes = [box for box in (await browser.page("/ui/experiments")).all("input") if box["name"] == "id"]
    assert [box["value"] for box in boxes] == ["f", "e"]
    page = await browser.page("/ui/experiments/compare?id=e&id=f")
    assert "brief 0.60 of 2 0.90 (+0.30) of 2 traces 2 2 errors 1 (50%) 1 (50%)" in page.text
    assert "cost $0.5000 $0.5000" in page.text
    await browser.page("/ui/experiments/compare?id=e&id=none", 404)
    await browser.page("/ui/experiments/compare?" + "&".join(["id=e"] * 7), 422)
    assert "Choose some" in (await browser.page("/ui/experiments/compare")).text


async def test_a_model_is_asked_about_an_experiment(browser: Browser, store: Store) -> None:
    await browser.sign_in("both")
    token = (await browser.page("/ui/experiments/e")).token
    answer = await browser.send("/ui/experiments/e/analysis", token, question="Why?")
    job = store.jobs.newest()[0]
    assert answer.headers["location"] == f"/ui/jobs/{job.id}"
    assert (job.kind, job.settings["question"], job.settings["traces"]) == ("analysis", "Why?", ["e1", "e0"])
    assert (await browser.send("/ui/experiments/none/analysis", token)).status_code == 404


async def test_a_trace_is_annotated(browser: Browser, store: Store) -> None:
    await browser.sign_in("both")
    page = await browser.page("/ui/traces/e0")
    assert [option["value"] for option in page.all("option")] == ["vague"]
    answer = await browser.send(
        "/ui/traces/e0/annotations", page.token, label="vague", confidence="0.5", notes="no step"
    )
    assert answer.headers["location"] == "/ui/traces/e0#annotations"
    page = await browser.page("/ui/traces/e0")
    assert "vague 0.50 human no step" in page.text
    page = await browser.page("/ui/behaviors/vague")
    assert "says nothing" in page.text
    assert "/ui/traces/e0" in page.links
    assert "vague says nothing 1" in (await browser.page("/ui/behaviors")).text
    await browser.page("/ui/behaviors/none", 404)


@pytest.mark.parametrize(
    ("path", "fields", "status", "told"),
    [
        ("traces/none/annotations", {"label": "x"}, 404, "there is no trace 'none'"),
        ("traces/e0/annotations", {}, 422, "form.label: Field required"),
        ("traces/e0/annotations", {"label": "x", "confidence": "2"}, 422, "form.confidence: Input should be"),
        ("behaviors", {"label": "vague", "description": "x"}, 409, "there is a behaviour 'vague' already"),
        ("behaviors/detect", {"count": "0"}, 422, "form.count: Input should be"),
        ("integrations/none", {"address": "x"}, 404, "there is no integration 'none'"),
        ("integrations/mlflow", {"address": "ftp://x"}, 422, "mlflow: trackingUri must be an address"),
        ("integrations/mlflow/import", {}, 422, "mlflow: say which project, or set experimentName"),
    ],
)
async def test_what_cannot_be_done_says_why(
    browser: Browser, store: Store, path: str, fields: dict[str, Any], status: int, told: str
) -> None:
    await browser.sign_in("both")
    token = (await browser.page("/ui/behaviors")).token
    answer = await browser.send(f"/ui/{path}", token, **fields)
    assert answer.status_code == status
    assert told in Html(answer.text).text


async def test_a_behaviour_is_defined_and_looked_for(browser: Browser, store: Store) -> None:
    await browser.sign_in("both")
    token = (await browser.page("/ui/behaviors")).token
    answer = await browser.send("/ui/behaviors", token, label="rude", description="is not kind")
    assert answer.headers["location"] == "/ui/behaviors"
    assert [known.label for known in store.annotations.behaviors()] == ["rude", "vague"]
    answer = await browser.send("/ui/behaviors/detect", token, count="3")
    job = store.jobs.newest()[0]
    assert answer.headers["location"] == f"/ui/jobs/{job.id}"
    assert (job.kind, job.settings["traces"]) == ("detection", ["f1", "f0", "e1"])
    await browser.send("/ui/traces/e0/detect", token)
    assert store.jobs.newest()[0].settings["traces"] == ["e0"]


async def test_an_integration_is_set_up_tried_and_forgotten(
    browser: Browser, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.sign_in("both")
    token = (await browser.page("/ui/integrations")).token
    fields = {
        "address": "http://127.0.0.1:9",
        "secret": "s3cr3t-token",
        "project": "mine",
        "auth_type": "bearer",
    }
    answer = await browser.send("/ui/integrations/mlflow", token, **fields)
    assert answer.headers["location"] == "/ui/integrations#mlflow"
    page = await browser.get("/ui/integrations")
    assert "http://127.0.0.1:9" in page.text
    assert "s3cr3t-token" not in page.text
    # What is blank stays.
    await browser.send("/ui/integrations/mlflow", token, project="other", secret="")
    stored = settings.stored(store, "mlflow")
    assert (stored.tracking_uri, stored.experiment_name) == ("http://127.0.0.1:9", "other")
    assert stored.token
    tested = await browser.send("/ui/integrations/mlflow/test", token)
    assert tested.status_code == 200
    assert "problem" in [message.get("class") for message in Html(tested.text).all("p")]
    answer = await browser.send("/ui/integrations/mlflow/import", token, since="2026-01-02", limit="5")
    job = store.jobs.newest()[0]
    assert answer.headers["location"] == f"/ui/jobs/{job.id}"
    await browser.send("/ui/integrations/mlflow/forget", token)
    assert settings.stored(store, "mlflow").tracking_uri is None
