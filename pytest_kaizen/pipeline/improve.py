"""A task with a weak prompt → a proposal: its tests or its feedback as the metric, a model reflects."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from ..capture import Redactor
from ..config import Config
from ..errors import UsageError
from ..llm import AnthropicLLM
from ..models import Job, JobStatus, Proposal, ProposalStatus
from ..optimize import (
    CappedLLM,
    CostEstimate,
    Event,
    Improve,
    Improved,
    LLMReflector,
    Meter,
    estimate_improve,
    improve,
)
from ..prices import load_prices
from ..prompts import PromptLibrary
from ..store import Store
from . import jobs
from .redacted import RedactedEvaluator
from .search import KIND, Measure, Search


def unfinished(config: Config, store: Store, task: str) -> Search:
    """Return the newest search of a task that did not come to its end, to go on with it.

    Raises:
        UsageError: There is none, or it was for another text than the task runs now.
    """
    job = jobs.newest(store, KIND, task)
    if job is None or job.status is JobStatus.COMPLETED:
        raise UsageError(f"--resume: no search for '{task}' was broken off")
    begun_with = job.settings.get("prompt_sha256")
    if begun_with not in (None, PromptLibrary(config).get(task).sha256):
        raise UsageError(
            f"--resume: the search that was broken off is for another version of '{task}'; make that one "
            f"active, or name it: KAIZEN_PROMPT_VERSION={task}=N"
        )
    return Search.of_job(job)


def open_proposal(config: Config, store: Store, task: str) -> Proposal | None:
    """Return the proposal for the prompt that a task runs that nobody decided about; None without one."""
    parent = PromptLibrary(config).get(task).sha256
    found = store.proposals(task, ProposalStatus.OPEN)
    return next((proposal for proposal in found if proposal.parent_sha256 == parent), None)


def optimize_task(
    config: Config,
    store: Store,
    search: Search,
    measure: Measure,
    *,
    on_estimate: Callable[[CostEstimate], bool],
    on_event: Callable[[Event], None],
) -> Improved | None:
    """Search for a better prompt of a task; store the job, the insights and the proposal.

    Args:
        config: Which prompt the task runs, and who judges and reflects.
        store: Has the task's cases, and keeps everything that was paid for.
        search: What is searched for.
        measure: What runs the cases and scores them.
        on_estimate: Is told what it will cost, from a pilot of a few rollouts; False ends it there.
        on_event: Is told about progress.

    Returns:
        What came of it; None when ``on_estimate`` ended it.

    Raises:
        UsageError: There is no prompt, no run to take the cases from, or too few of them.
        JobError: Another search for the task is under way.
        WorkerError: The suite cannot be run.
        LLMError: The reflecting model failed again and again.
        StoreError: The store cannot be written.
    """
    prompt = PromptLibrary(config).get(search.task)
    if search.job_id is None:
        jobs.require_free(store, KIND, search.task)
    search = measure.fix(search)
    logged = store.tasks.find(search.task)
    last = search.last
    if last is None and logged is not None:
        last = store.feedback.last(logged.id)
    prices = load_prices(config.prices)
    meter = Meter(search.budget)
    llm = AnthropicLLM(prices, timeout_s=max(config.judge.timeout_s, 120.0))
    with jobs.running(store, _claimed(store, search, prompt.sha256)) as job:
        job.spend = meter.used
        try:
            measured = measure.cases(prompt)
            request = Improve(
                task=search.task,
                prompt=prompt.text,
                cases=measured.cases,
                model=measured.model,
                rubric=measured.rubric,
                reflector=measured.reflector or config.judge.model,
                engine=search.engine,
                insights=tuple(store.insights(search.task)),
                seed=search.seed,
            )
            evaluate = RedactedEvaluator(measure.evaluator(request), Redactor(os.environ, config.redact))
            reflect = LLMReflector(CappedLLM(llm, meter, prices), request.reflector)

            def hear(event: Event) -> None:
                jobs.progress(store, job, event.step, meter.used)
                on_event(event)

            notes = measure.notes(meter)
            estimate = estimate_improve(
                request, evaluate=evaluate, reflect=reflect, ledger=store, budget=meter, on_event=hear
            )
            if not on_estimate(estimate._replace(notes=notes)):
                job.result = {"dry_run": True}
                return None
            found = improve(
                request, evaluate=evaluate, reflect=reflect, ledger=store, budget=meter, on_event=hear
            )
        finally:
            measure.close()
            llm.close()
        now = datetime.now(UTC)
        store.save_insights(
            insight.model_copy(update={"created_at": insight.created_at or now}) for insight in found.insights
        )
        if found.proposal is not None:
            found = replace(found, proposal=found.proposal.model_copy(update={"created_at": now}))
            assert found.proposal is not None
            store.save_proposal(found.proposal)
        if logged is not None and last is not None:
            # Before the job counts as completed: until then it keeps another one from starting.
            store.feedback.mark_seen(logged.id, last)
        job.result = {"sentence": found.sentence, "proposal": found.proposal and found.proposal.id}
        return found


def _claimed(store: Store, search: Search, prompt_sha256: str) -> Job:
    settings = {**search.settings, "prompt_sha256": prompt_sha256}
    if search.job_id is not None:
        job = jobs.claim(store, search.job_id)
        job.settings = settings
        return job
    return jobs.start(store, KIND, search.task, settings, search.triggered_by)
