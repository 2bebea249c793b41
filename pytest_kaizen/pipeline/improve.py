"""A task with a weak prompt → a proposal: its own tests as the metric, the judge's model as the reflector."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from ..capture import Redactor
from ..config import Config
from ..errors import KaizenError, UsageError
from ..llm import AnthropicLLM
from ..models import Case, Job, JobStatus, Scored, Trace
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
    split_cases,
)
from ..optimize.cases import TaskCase
from ..prices import load_prices
from ..prompts import PromptLibrary
from ..score.checks.base import as_text
from ..store import Store
from .redacted import RedactedEvaluator
from .revision import code_state
from .rollouts import gives_reasons
from .search import KIND, Search, end_job
from .search_lines import no_reasons_line
from .spans import StoredSpans
from .suite import Launch, SuiteEvaluator


def optimize_task(
    config: Config,
    store: Store,
    search: Search,
    launch: Launch,
    *,
    on_doubt: Callable[[str], bool],
    on_estimate: Callable[[CostEstimate], bool],
    on_event: Callable[[Event], None],
) -> Improved | None:
    """Search for a better prompt of a task; store the job, the insights and the proposal.

    Args:
        config: Which prompt the task runs, and who judges and reflects.
        store: Has the task's cases, and keeps everything that was paid for.
        search: What is searched for.
        launch: How the suite is run.
        on_doubt: Is told, before anything is paid for, why it may be in vain; False ends it there.
        on_estimate: Is told what it will cost, from a pilot of a few rollouts; False ends it there.
        on_event: Is told about progress.

    Returns:
        What came of it; None when ``on_doubt`` or ``on_estimate`` ended it.

    Raises:
        UsageError: There is no prompt, no run to take the cases from, or too few of them.
        WorkerError: The suite cannot be run.
        LLMError: The reflecting model failed again and again.
        StoreError: The store cannot be written.
    """
    prompt = PromptLibrary(config).get(search.task)
    active = [job for job in store.jobs(search.task, JobStatus.RUNNING) if job.kind == KIND]
    if active:
        raise UsageError(
            f"a search for '{search.task}' is under way since {active[0].created_at:%Y-%m-%d %H:%M:%S} UTC; "
            f"if its process is gone, go on with it: `kaizen optimize {search.task} --resume`"
        )
    search, cases = _cases(store, search)
    if not gives_reasons(cases) and not on_doubt(no_reasons_line(search.task)):
        return None
    prices = load_prices(config.prices)
    meter = Meter(search.budget)
    llm = AnthropicLLM(prices, timeout_s=max(config.judge.timeout_s, 120.0))
    with _job(store, search, prompt.sha256, meter) as job:

        def keep(trace: Trace) -> None:
            mark = {**trace.metadata, "kaizen.optimization": job.id}
            store.add_trace(trace.model_copy(update={"run_id": job.id, "metadata": mark}))

        suite = SuiteEvaluator(launch, search.task, config.concurrency or 1, keep)
        try:
            request = _request(config, store, search, prompt.text, cases, suite)
            evaluate = RedactedEvaluator(_Confirming(suite, request), Redactor(os.environ, config.redact))
            reflect = LLMReflector(
                CappedLLM(llm, meter, prices), reflector_model(config, search.task), StoredSpans(store)
            )

            def hear(event: Event) -> None:
                job.step, job.spend = event.step, event.spend
                store.save_job(job)
                on_event(event)

            estimate = estimate_improve(
                request, evaluate=evaluate, reflect=reflect, ledger=store, budget=meter, on_event=hear
            )
            if not on_estimate(estimate):
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
        job.result |= {"sentence": found.sentence, "proposal": found.proposal and found.proposal.id}
        return found


def reflector_model(config: Config, task: str) -> str:
    """Return the model that reflects on a task's failures."""
    return config.task(task).optimize.model or config.judge.model


@contextmanager
def _job(store: Store, search: Search, prompt_sha256: str, meter: Meter) -> Iterator[Job]:
    """Keep the record of a job for as long as it runs, and of how it ended."""
    now = datetime.now(UTC)
    job = Job(
        id=f"{now:%Y%m%d-%H%M%S}-{os.urandom(3).hex()}",
        kind=KIND,
        task=search.task,
        status=JobStatus.RUNNING,
        triggered_by=search.triggered_by,
        created_at=now,
        started_at=now,
        result={**search.settings, "prompt_sha256": prompt_sha256},
    )
    store.save_job(job)
    try:
        yield job
    except Exception as exc:
        job.error = str(exc) if isinstance(exc, KaizenError) else f"{type(exc).__name__}: {exc}"
        end_job(store, job, JobStatus.FAILED, meter.used)
        raise
    except BaseException:
        end_job(store, job, JobStatus.STOPPED, meter.used)
        raise
    end_job(store, job, JobStatus.COMPLETED, meter.used)


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
    settings = config.task(search.task).optimize
    # What was measured with other rubrics, tests or code is not measured again under its name.
    code = code_state(config.root)
    judged_by = (there.measures[search.task], config.judge.model, config.judge.votes, code)
    return Improve(
        task=search.task,
        prompt=prompt,
        cases=tuple(TaskCase(case.id, _input(case.samples[0].trace)) for case in kept),
        model=", ".join(sorted(filter(None, models))),
        rubric=hashlib.sha256(repr(judged_by).encode()).hexdigest(),
        reflector=reflector_model(config, search.task),
        engine=search.engine,
        shares=(settings.shares.search, settings.shares.validation),
        standard=Standard(
            settings.min_gain,
            settings.confidence,
            frozenset(there.critical.get(search.task, ())),
            settings.samples,
        ),
        insights=tuple(store.insights(search.task)),
        seed=search.seed,
        epochs=settings.epochs,
        mode=settings.reading,
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
