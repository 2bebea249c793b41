"""A task with a weak prompt → a proposal: its own tests as the metric, the judge's model as the reflector."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ..capture import Redactor
from ..config import Config
from ..errors import UsageError
from ..llm import AnthropicLLM
from ..models import Case, Job, JobStatus, Proposal, ProposalStatus, Scored, Trace
from ..optimize import (
    DEFAULT_ENGINE,
    Budget,
    CappedLLM,
    CostEstimate,
    Event,
    Improve,
    Improved,
    LLMReflector,
    Meter,
    estimate_improve,
    improve,
    split_cases,
)
from ..optimize.cases import TaskCase
from ..prices import load_prices
from ..prompts import PromptLibrary
from ..score.checks.base import as_text
from ..store import Store
from . import jobs
from .redacted import RedactedEvaluator
from .revision import revision
from .suite import Launch, SuiteEvaluator

KIND = "optimize"
#: What a search may cost where nobody says otherwise.
DEFAULT_BUDGET = Budget(usd=5.0, rollouts=400)


@dataclass(frozen=True)
class Search:
    """What is searched for, and at what cost at most.

    Attributes:
        task: The task.
        engine: One of ``optimize.ENGINES``.
        budget: The caps.
        seed: Of all that is random.
        triggered_by: ``command`` or ``gate``.
        run_id: The run whose cases are the task's; the last whole run by default.
        job_id: The job to go on with; a new one by default.
    """

    task: str
    engine: str = DEFAULT_ENGINE
    budget: Budget = DEFAULT_BUDGET
    seed: int = 0
    triggered_by: str = "command"
    run_id: str | None = None
    job_id: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What a search that goes on later has to know, as JSON."""
        caps = {"budget_usd": self.budget.usd, "max_rollouts": self.budget.rollouts}
        return {"engine": self.engine, "seed": self.seed, "run_id": self.run_id, **caps}


def unfinished(config: Config, store: Store, task: str) -> Search:
    """Return the newest search of a task that did not come to its end, to go on with it.

    Raises:
        UsageError: There is none, or it was for another text than the task runs now.
    """
    job = jobs.newest(store, KIND, task)
    if job is None or job.status is JobStatus.COMPLETED:
        raise UsageError(f"--resume: no search for '{task}' was broken off")
    known = job.settings
    if known["prompt_sha256"] != PromptLibrary(config).get(task).sha256:
        raise UsageError(
            f"--resume: the search that was broken off is for another version of '{task}'; make that one "
            f"active, or name it: KAIZEN_PROMPT_VERSION={task}=N"
        )
    budget = Budget(usd=known["budget_usd"], rollouts=known["max_rollouts"])
    return Search(task, known["engine"], budget, known["seed"], job.triggered_by, known["run_id"], job.id)


def open_proposal(config: Config, store: Store, task: str) -> Proposal | None:
    """Return the proposal for the prompt that a task runs that nobody decided about; None without one."""
    parent = PromptLibrary(config).get(task).sha256
    found = store.proposals(task, ProposalStatus.OPEN)
    return next((proposal for proposal in found if proposal.parent_sha256 == parent), None)


def optimize_task(
    config: Config,
    store: Store,
    search: Search,
    launch: Launch,
    *,
    on_estimate: Callable[[CostEstimate], bool],
    on_event: Callable[[Event], None],
) -> Improved | None:
    """Search for a better prompt of a task; store the job, the insights and the proposal.

    Args:
        config: Which prompt the task runs, and who judges and reflects.
        store: Has the task's cases, and keeps everything that was paid for.
        search: What is searched for.
        launch: How the suite is run.
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
    search, cases = _cases(store, search)
    prices = load_prices(config.prices)
    meter = Meter(search.budget)
    llm = AnthropicLLM(prices, timeout_s=max(config.judge.timeout_s, 120.0))
    suite = SuiteEvaluator(launch, search.task, config.concurrency or 1)
    with jobs.running(store, _claimed(store, search, prompt.sha256)) as job:
        job.spend = meter.used
        try:
            request = _request(config, store, search, prompt.text, cases, suite)
            evaluate = RedactedEvaluator(_Confirming(suite, request), Redactor(os.environ, config.redact))
            reflect = LLMReflector(CappedLLM(llm, meter, prices), config.judge.model)

            def hear(event: Event) -> None:
                jobs.progress(store, job, event.step, meter.used)
                on_event(event)

            estimate = estimate_improve(
                request, evaluate=evaluate, reflect=reflect, ledger=store, budget=meter, on_event=hear
            )
            if not on_estimate(estimate):
                job.result = {"dry_run": True}
                return None
            found = improve(
                request, evaluate=evaluate, reflect=reflect, ledger=store, budget=meter, on_event=hear
            )
        finally:
            suite.close()
            llm.close()
        now = datetime.now(UTC)
        store.save_insights(
            insight.model_copy(update={"created_at": insight.created_at or now}) for insight in found.insights
        )
        if found.proposal is not None:
            found = replace(found, proposal=found.proposal.model_copy(update={"created_at": now}))
            assert found.proposal is not None
            store.save_proposal(found.proposal)
        job.result = {"sentence": found.sentence, "proposal": found.proposal and found.proposal.id}
        return found


def _claimed(store: Store, search: Search, prompt_sha256: str) -> Job:
    if search.job_id is not None:
        return jobs.claim(store, search.job_id)
    settings = {**search.settings, "prompt_sha256": prompt_sha256}
    return jobs.start(store, KIND, search.task, settings, search.triggered_by)


def _cases(store: Store, search: Search) -> tuple[Search, list[Case]]:
    """Find the task's cases that use its prompt, as a whole run has them; say which run that was."""
    run_id = search.run_id
    if run_id is None:
        run = store.last_whole_run(search.task)
        if run is None:
            raise UsageError(
                f"no run in the store has all cases of '{search.task}'; run `pytest --kaizen` first"
            )
        run_id = run.id
    found = [case for case in store.cases(run_id) if case.task == search.task and case.samples]
    using = [case for case in found if any(search.task in sample.prompts for sample in case.samples)]
    if not using:
        raise UsageError(
            f"no case of '{search.task}' fetched its prompt in run {run_id}, so another one would change "
            f'nothing; let the tests use kaizen.prompt("{search.task}")'
        )
    return replace(search, run_id=run_id), using


def _request(
    config: Config, store: Store, search: Search, prompt: str, cases: Sequence[Case], suite: SuiteEvaluator
) -> Improve:
    """Say what is to be improved, for those cases that the suite still has."""
    there = suite.suite()
    ids = set(there.cases.get(search.task, ()))
    kept = [case for case in cases if case.id in ids]
    if not kept:
        raise UsageError(
            f"none of the {len(cases)} cases of '{search.task}' in run {search.run_id} is in the suite that "
            f"pytest collects here; run `pytest --kaizen` in this folder first"
        )
    models = {span.model for case in kept for sample in case.samples for span in sample.trace.llm_spans}
    commit, _ = revision(config.root)
    # What was measured with other rubrics, tests or code is not measured again under its name.
    judged_by = (there.measures[search.task], config.judge.model, config.judge.votes, commit)
    return Improve(
        task=search.task,
        prompt=prompt,
        cases=tuple(TaskCase(case.id, _input(case.samples[0].trace)) for case in kept),
        model=", ".join(sorted(filter(None, models))),
        rubric=hashlib.sha256(repr(judged_by).encode()).hexdigest(),
        reflector=config.judge.model,
        engine=search.engine,
        insights=tuple(store.insights(search.task)),
        seed=search.seed,
    )


def _input(trace: Trace) -> str:
    """Return what a case was given, without the prompt that it ran under."""
    if trace.input is None:
        return trace.case_id or trace.name
    text = as_text(trace.input)
    for span in trace.llm_spans:
        if span.system:
            text = text.replace(span.system, "")
    return text


class _Confirming:
    """Runs the final comparison in fresh workers, one set for each prompt.

    Wider fixtures and caches of the program may carry something over from hundreds of rollouts before.
    """

    def __init__(self, suite: SuiteEvaluator, request: Improve) -> None:
        search, validation = request.shares
        split = split_cases(request.cases, search=search, validation=validation)
        self._held_out = {case.id for case in split.held_out}
        self._suite = suite
        self._confirmed: str | None = None

    def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> Iterator[Scored]:
        """Run cases under a prompt; see ``optimize.Evaluator``."""
        if prompt != self._confirmed and self._held_out.issuperset(cases):
            self._suite.restart()
            self._confirmed = prompt
        return self._suite.evaluate(prompt, cases, samples)
