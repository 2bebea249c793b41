"""A task with a weak prompt → a proposal: its tests or its feedback as the metric, a model reflects."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ..capture import Redactor
from ..config import Config
from ..llm import LLM, AnthropicLLM
from ..models import Job, Proposal, Trace
from ..optimize import (
    CappedLLM,
    CostEstimate,
    Event,
    Improve,
    Improved,
    LLMReflector,
    Meter,
    Standard,
    estimate_improve,
    improve,
)
from ..prices import load_prices
from ..prompts import Prompt, PromptLibrary
from ..store import Store
from . import jobs
from .redacted import RedactedEvaluator
from .search import Measure, Measured, Search
from .search_lines import no_reasons_line
from .spans import StoredSpans


def optimize_task(
    config: Config,
    store: Store,
    search: Search,
    measure: Measure,
    *,
    on_doubt: Callable[[str], bool],
    on_estimate: Callable[[CostEstimate], bool],
    on_event: Callable[[Event], None],
    prompt: Prompt | None = None,
    llm: LLM | None = None,
    on_proposal: Callable[[Proposal], Mapping[str, Any]] | None = None,
) -> Improved | None:
    """Search for a better prompt of a task; store the job, the insights and the proposal.

    Args:
        config: Which prompt the task runs, and who judges and reflects.
        store: Has the task's cases, and keeps everything that was paid for.
        search: What is searched for.
        measure: What runs the cases and scores them.
        on_doubt: Is told, before anything is paid for, why it may be in vain; False ends it there.
        on_estimate: Is told what it will cost, from a pilot of a few rollouts; False ends it there.
        on_event: Is told about progress.
        prompt: The prompt that the task runs; the project's active one by default.
        llm: The door to the model that reflects; the environment's by default.
        on_proposal: Is given what was found before the job counts as completed, also once more after
            it was broken off there; what it returns is kept with the job's result.

    Returns:
        What came of it; None when ``on_doubt`` or ``on_estimate`` ended it.

    Raises:
        UsageError: There is no prompt, no run to take the cases from, or too few of them.
        JobError: Another search for the task is under way.
        WorkerError: The suite cannot be run.
        LLMError: The reflecting model failed again and again.
        StoreError: The store cannot be written.
    """
    prompt = prompt or PromptLibrary(config).get(search.task)
    if search.job_id is None:
        jobs.require_free(store, jobs.OPTIMIZE, search.task)
    search = measure.fix(search)
    logged = store.tasks.find(search.task)
    last = search.last
    if last is None and logged is not None:
        last = store.feedback.last(logged.id)
    prices = load_prices(config.prices)
    meter = Meter(search.budget)
    own = AnthropicLLM(prices, timeout_s=max(config.judge.timeout_s, 120.0))
    with jobs.running(store, _claimed(store, search, prompt.sha256)) as job:
        job.spend = meter.used

        def keep(trace: Trace) -> None:
            mark = {**trace.metadata, "kaizen.optimization": job.id}
            store.add_rollout(job.id, trace.model_copy(update={"run_id": job.id, "metadata": mark}))

        try:
            measured = measure.cases(prompt, keep)
            if not measured.reasons and not on_doubt(no_reasons_line(search.task)):
                job.result = {"dry_run": True}
                return None
            request = improvement(config, store, search, prompt.text, measured)
            evaluate = RedactedEvaluator(measure.evaluator(request), Redactor(os.environ, config.redact))
            door = CappedLLM(own if llm is None else llm, meter, prices)
            reflect = LLMReflector(door, request.reflector, StoredSpans(store))

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
            own.close()
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
        more = {} if on_proposal is None or found.proposal is None else on_proposal(found.proposal)
        job.result = {"sentence": found.sentence, "proposal": found.proposal and found.proposal.id, **more}
        return found


def improvement(config: Config, store: Store, search: Search, prompt: str, measured: Measured) -> Improve:
    """Return what is asked of the optimisation.

    Args:
        config: The task's settings.
        store: Has the insights so far.
        search: What is searched for.
        prompt: The text that the task runs.
        measured: What candidates are measured on.
    """
    settings = config.task(search.task).optimize
    return Improve(
        task=search.task,
        prompt=prompt,
        cases=measured.cases,
        model=measured.model,
        rubric=measured.rubric,
        reflector=settings.model or measured.reflector or config.judge.model,
        engine=search.engine,
        shares=(settings.shares.search, settings.shares.validation),
        standard=Standard(settings.min_gain, settings.confidence, measured.critical, settings.samples),
        insights=tuple(store.insights(search.task)),
        seed=search.seed,
        epochs=settings.epochs,
        mode=settings.reading,
    )


def _claimed(store: Store, search: Search, prompt_sha256: str) -> Job:
    settings = {**search.settings, "prompt_sha256": prompt_sha256}
    if search.job_id is not None:
        job = jobs.claim(store, search.job_id)
        job.settings = settings
        return job
    return jobs.start(store, jobs.OPTIMIZE, search.task, settings, search.triggered_by)
