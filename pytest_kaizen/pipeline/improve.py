"""A task with a weak prompt → a proposal, and what becomes of that: its files, its way to the active version.

The metric is the task's tests or its feedback; a model reflects.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..capture import Redactor
from ..config import Config
from ..errors import PromptError
from ..llm import LLM, AnthropicLLM
from ..models import Job, Proposal, ProposalStatus, Trace
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
from ..prompts import Prompt, PromptLibrary, activate_version, new_version
from ..prompts.files import normalise
from ..report.documents import proposal_markdown
from ..store import Store
from . import jobs
from .rollouts import RedactedEvaluator
from .search import Measure, Measured, Search, no_reasons_line
from .studied import StoredSpans


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


def open_proposal(config: Config, store: Store, task: str) -> Proposal | None:
    """Return the proposal for the prompt that a task runs that nobody decided about; None without one."""
    parent = PromptLibrary(config).get(task).sha256
    found = (proposal for proposal in store.proposals(task) if proposal.status.is_open)
    return next((proposal for proposal in found if proposal.parent_sha256 == parent), None)


def write_proposal(config: Config, proposal: Proposal) -> Path:
    """Write a proposal beside the store, with its evidence, and its text in a file of its own.

    Returns:
        The path of the evidence; that of the text ends in ``.txt``.

    Raises:
        OSError: It cannot be written.
    """
    path = proposal_path(config, proposal)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(proposal_markdown(proposal), encoding="utf-8", errors="backslashreplace")
    path.with_suffix(".txt").write_text(f"{proposal.text}\n", encoding="utf-8")
    return path


def proposal_path(config: Config, proposal: Proposal) -> Path:
    """Return where a proposal's evidence is written."""
    name = re.sub(r"[^\w.-]", "_", f"{proposal.task}-{proposal.id}")
    return config.store.parent / "proposals" / f"{name}.md"


def activate_proposal(config: Config, store: Store, proposal: Proposal) -> int:
    """Write a proposal as the next version of its prompt, make that the active one and lock it.

    Returns:
        The version.

    Raises:
        PromptError: As ``take_over``.
        StoreError: The store cannot be written.
    """
    number = take_over(config, proposal)
    store.save_proposal(proposal.model_copy(update={"status": ProposalStatus.ACTIVATED}))
    return number


def take_over(config: Config, proposal: Proposal) -> int:
    """Do to the files of a project what makes a proposal the active version, and return its number.

    Raises:
        PromptError: Another version is active than the one it was compared with; the text cannot
            stand in a prompt file as it is; a file cannot be written.
    """
    library = PromptLibrary(config)
    active = library.active(proposal.task)
    parent = next(
        (v.version for v in library.versions(proposal.task) if v.sha256 == proposal.parent_sha256), None
    )
    if parent != active:
        raise PromptError(
            f"proposal {proposal.id} was compared with {f'version {parent}' if parent else 'another text'}, "
            f"and version {active} of '{proposal.task}' is active: not activated"
        )
    note = f"Found by `kaizen optimize` from version {parent}: proposal {proposal.id}."
    path = new_version(config, proposal.task, source=parent, text=proposal.text, note=note)
    number = int(path.stem)
    # A model may begin a text with what a prompt file takes for front matter.
    if PromptLibrary(config).version(proposal.task, number).text != normalise(proposal.text):
        path.unlink()
        raise PromptError(
            f"the text of proposal {proposal.id} cannot stand in a prompt file as it is: not activated"
        )
    activate_version(config, proposal.task, number)
    return number
