"""What a worker does for each kind of job: the work itself is the pipeline's."""

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
from ...pipeline import evaluations, insights, jobs, observing, search
from ...pipeline.feedback.measure import FeedbackMeasure
from ...pipeline.improve import optimize_task
from ...pipeline.integrations import importing
from ...pipeline.integrations.importing import Importer
from ...pipeline.pulls.from_task import TaskPulls
from ...pipeline.stored_prompts import active_text, add_draft, dismiss_open, prompt_to_improve
from ...prices import load_prices
from ...store import Store

#: The kind of a job that runs an agent.
RUN_KIND = "agent-run"
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
    _ask(work, partial(insights.draw_insights, prompt_of=partial(active_text, work.store)))


def optimize(work: Assignment) -> None:
    """Search for a better prompt, which becomes a draft and a pull request; raises as ``optimize_task``."""
    config, store, job = work.config, work.store, work.job
    prompt = prompt_to_improve(store, job.task, job)
    dismiss_open(store, job.task)
    optimize_task(
        config,
        store,
        search.Search.of_job(job),
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
    # The recorder of its model calls is no part of a server that runs no agent.
    from .hosted import host

    host(work.config, work.store, jobs.claim(work.store, work.job.id), work.pause)


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
    insights.KIND: draw,
    search.KIND: optimize,
    observing.ANALYSIS: partial(_ask, do=observing.analyze),
    observing.DETECTION: partial(_ask, do=observing.detect),
    evaluations.KIND: partial(_ask, do=evaluations.evaluate),
    RUN_KIND: run_agent,
    importing.KIND: import_traces,
}
