"""What a worker does for each kind of job: the work itself is the pipeline's.

What a kind needs is imported when a job of that kind is done: a server starts without the HTTP clients,
optimizer and recorder that its jobs may need.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from pydantic import SecretStr

from ...capture import Redactor
from ...config import Config
from ...llm import LLM, AnthropicLLM
from ...models import Job
from ...pipeline import jobs
from ...prices import load_prices
from ...store import Store

#: Seconds for an answer: a reflection takes longer than a judge's.
_TIMEOUT_S = 120.0


class Assignment(NamedTuple):
    """A job to do.

    Attributes:
        config: The server's configuration.
        store: The store of the job's workspace.
        job: The job, which nobody has claimed yet.
        key: The key for the model that came with the request; None for the environment's.
        pause: Called between two steps; raises ``HandedBack`` when this process is to end.
    """

    config: Config
    store: Store
    job: Job
    key: SecretStr | None
    pause: Callable[[], None]


def draw(work: Assignment) -> None:
    """Draw insights from traces; raises as ``draw_insights`` and ``jobs.claim``."""
    from ...pipeline.insights import draw_insights
    from ...pipeline.stored_prompts import active_text

    _ask(work, partial(draw_insights, prompt_of=partial(active_text, work.store)))


def optimize(work: Assignment) -> None:
    """Search for a better prompt, which becomes a draft and a pull request; raises as ``optimize_task``."""
    from ...pipeline.feedback.measure import FeedbackMeasure
    from ...pipeline.improve import optimize_task
    from ...pipeline.pulls.from_task import TaskPulls
    from ...pipeline.search import Search
    from ...pipeline.stored_prompts import add_draft, dismiss_open, prompt_to_improve

    config, store, job = work.config, work.store, work.job
    prompt = prompt_to_improve(store, job.task, job)
    dismiss_open(store, job.task)
    optimize_task(
        config,
        store,
        Search.of_job(job),
        FeedbackMeasure(config, store),
        on_doubt=lambda _: True,
        on_estimate=lambda _: True,
        on_event=lambda _: work.pause(),
        prompt=prompt,
        on_proposal=lambda proposal: {
            "version": add_draft(store, proposal).version,
            "decision": proposal.acceptance.decision.value,
            "diff": proposal.diff,
            **TaskPulls(config, store).after(job, proposal),
        },
    )


def run_agent(work: Assignment) -> None:
    """Run an agent that the operator declared; raises as ``host``."""
    from .hosted import host

    host(work.config, work.store, jobs.claim(work.store, work.job.id), work.pause)


def analyze(work: Assignment) -> None:
    """Analyse an experiment; raises as ``observing.analyze`` and ``jobs.claim``."""
    from ...pipeline import observing

    _ask(work, observing.analyze)


def detect(work: Assignment) -> None:
    """Detect behaviours; raises as ``observing.detect`` and ``jobs.claim``."""
    from ...pipeline import observing

    _ask(work, observing.detect)


def evaluate(work: Assignment) -> None:
    """Evaluate a run of an agent; raises as ``evaluations.evaluate`` and ``jobs.claim``."""
    from ...pipeline import evaluations

    _ask(work, evaluations.evaluate)


def _ask(work: Assignment, do: Callable[[Config, Store, Job, LLM, Callable[[Job], None]], None]) -> None:
    """Claim a job and do it with the door to a model."""
    config, store = work.config, work.store
    job = jobs.claim(store, work.job.id)
    timeout_s = max(config.judge.timeout_s, _TIMEOUT_S)
    api_key = work.key.get_secret_value() if work.key else None
    llm = AnthropicLLM(load_prices(config.prices), timeout_s=timeout_s, api_key=api_key)
    try:
        do(config, store, job, llm, lambda _: work.pause())
    finally:
        llm.close()


def import_traces(work: Assignment) -> None:
    """Import traces from where they lie; raises as ``Importer.run`` and ``jobs.claim``."""
    from ...pipeline.integrations.importing import Importer

    config = work.config
    importer = Importer(
        store=work.store,
        redactor=Redactor(os.environ, config.redact),
        price=load_prices(config.prices).cost,
        allow_private=config.server.allow_private_hosts,
        pause=lambda _: work.pause(),
    )
    importer.run(jobs.claim(work.store, work.job.id))


KINDS: Mapping[str, Callable[[Assignment], None]] = {
    jobs.INSIGHTS: draw,
    jobs.OPTIMIZE: optimize,
    jobs.ANALYSIS: analyze,
    jobs.DETECTION: detect,
    jobs.EVALUATION: evaluate,
    jobs.AGENT_RUN: run_agent,
    jobs.IMPORT: import_traces,
}
