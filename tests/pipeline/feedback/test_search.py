"""A search on feedback whose prompt and model come from no file and no environment."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.capture import Redactor
from pytest_kaizen.llm import LLMRequest
from pytest_kaizen.models import Decision, Job, JobStatus
from pytest_kaizen.optimize import CostEstimate
from pytest_kaizen.pipeline.feedback.logged import log_feedback, start_if_due
from pytest_kaizen.pipeline.feedback.measure import FeedbackMeasure
from pytest_kaizen.pipeline.improve import optimize_task
from pytest_kaizen.pipeline.search import Search
from pytest_kaizen.prompts import Prompt
from pytest_kaizen.store import Store

from .conftest import FakeLLM

if TYPE_CHECKING:
    from .conftest import Make

LESSON = {
    "justification": "it is not said",
    "evidence": [1],
    "criterion": "judge.urgent",
    "section": "general",
    "when": "",
    "rule": "Say how urgent it is.",
    "replaces": "",
    "confidence": "high",
}


def answer(request: LLMRequest) -> str:
    wanted = (request.schema or {}).get("properties", {})
    if "lessons" in wanted:
        return json.dumps({"lessons": [LESSON]})
    if "relations" in wanted:
        return json.dumps({"relations": []})
    if wanted:
        urgent = "urgent: " in request.prompt
        return json.dumps({"urgent": {"reason": f"it is {urgent}", "score": "yes" if urgent else "no"}})
    return f"{'urgent: ' * ('Say how urgent' in request.system)}{request.prompt}"


def test_feedback_to_proposal_without_files_or_keys(
    store: Store, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    criteria = [{"name": "urgent", "description": "It says how urgent the ticket is."}]
    task = make.task(
        feedback_threshold=50,
        target_model="claude-haiku-4-5",
        evaluator_config={"type": "judge", "criteria": criteria},
    )
    store.tasks.add(task)
    text = "Sort the ticket."
    prompt = Prompt("triage", 7, text, sha256(text.encode()).hexdigest(), Path("a database"))
    llm = FakeLLM(answer, cost_usd=0.0001)
    config = make.config()

    def start(job: Job) -> None:
        measure = FeedbackMeasure(config, store, llm)
        notes: list[str] = []

        def tell(estimate: CostEstimate) -> bool:
            notes.extend(estimate.notes)
            return True

        found = optimize_task(
            config,
            store,
            Search.of_job(job),
            measure,
            on_doubt=lambda _: True,
            on_estimate=tell,
            on_event=lambda _: None,
            prompt=prompt,
            llm=llm,
        )
        assert found is not None
        assert found.proposal is not None
        assert notes[0] == "50 logged inputs, answered by claude-haiku-4-5"

    search = Search("triage", triggered_by="threshold", source="feedback")
    started = []
    for number in range(50):
        log_feedback(store, task, make.entry(task, {"ticket": str(number)}), Redactor({}))
        started.append(start_if_due(store, task, search, start) is not None)
    assert started == [False] * 49 + [True]
    [proposal] = store.proposals("triage")
    assert proposal.parent_sha256 == prompt.sha256
    assert proposal.text.endswith("- Say how urgent it is.")
    assert proposal.acceptance.decision is Decision.ACCEPTED
    [job] = store.jobs.newest("triage")
    assert (job.status, job.settings["prompt_sha256"]) == (JobStatus.COMPLETED, prompt.sha256)
    assert store.feedback.count(task.id).fresh == 0
