"""A server of ours, and Kaizen CT.

Ours takes whole runs, as the store on this machine has them; everything has an id of ours there, so
that sending it again changes nothing. Kaizen CT takes feedback, and optimises tasks whose gate failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from ...config import Config
from ...errors import CTError
from ...models import ParcelKind, Remote
from ...platforms.exchange import idempotency_key
from ...platforms.kaizen.client import RunsClient
from ...platforms.kaizen_ct import FeedbackCreate, Job, OptimizeResult
from ...platforms.kaizen_ct.client import AsyncCTClient
from ..plan import NO_TASK
from . import TIMEOUTS, Fate, Parcel, Shipment, fate_of, key_from

#: Entries of feedback after which a task that is made here would start an optimisation by itself: never,
#: since nothing that costs money starts unasked.
NEVER = 1_000_000_000
_FIRST_LOOK_S = 1.0
_LONGEST_LOOK_S = 15.0
#: So many looks at a job in a row may fail for a while.
_PATIENCE = 5


class KaizenBackend:
    """Takes runs with their cases and samples to ``kaizen serve``.

    What it keeps in ``remote``: ``begun``, that the run is there.
    """

    name = "kaizen"
    # A case has all its samples with it, which may be many.
    max_batch = 20

    def __init__(self, client: RunsClient) -> None:
        self._client = client

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._client.base_url

    async def send(self, shipment: Shipment) -> None:
        """Store the run where it is not there, then its cases, and what it has become at its end."""
        if not shipment.remote.get("begun"):
            await self._client.put_run(shipment.run)
            shipment.remote["begun"] = True
        shipment.done(*(parcel for parcel in shipment.rest if parcel.kind is ParcelKind.RUN_BEGUN))
        arrived = [parcel for parcel in shipment.rest if parcel.kind is ParcelKind.CASE_FINISHED]
        if cases := [parcel.case for parcel in arrived if parcel.case]:
            await self._client.put_cases(shipment.run.id, cases)
            shipment.done(*arrived)
        if shipment.rest:
            await self._client.put_run(shipment.run)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


def create_kaizen(config: Config, env: Mapping[str, str]) -> KaizenBackend:
    """Make the backend from ``backends.kaizen``.

    Raises:
        PlatformError: There is no key, or the URL cannot be right.
    """
    settings = config.backends.kaizen
    url = settings.url or env.get("KAIZEN_BASE_URL") or None
    return KaizenBackend(RunsClient(key_from(env, settings.key_env), url, TIMEOUTS))


class KaizenCTBackend:
    """Sends each sample as one entry of feedback.

    A server that honours ``Idempotency-Key`` counts an entry once; elsewhere one whose answer was lost
    may stand there twice, with the same ``metadata.kaizen_id``.

    Args:
        client: The client.
        tasks: The platform's ids or names of tasks, by ours.
        optimizes: Whether optimisations are started.
    """

    name = "kaizen-ct"
    max_batch = 8

    def __init__(self, client: AsyncCTClient, tasks: Mapping[str, str], *, optimizes: bool) -> None:
        self._client = client
        self._names = dict(tasks)
        self._optimizes = optimizes
        self._ids: dict[str, str] = {}

    async def send(self, shipment: Shipment) -> None:
        """Send the samples side by side, then what the end of the run asks for; see ``Backend.send``."""
        samples = [parcel for parcel in shipment.parcels if parcel.kind is ParcelKind.SAMPLE]
        for parcel in samples:
            if parcel.case is not None and parcel.case.task != NO_TASK:
                await self._task_id(parcel.case.task, shipment.say)
        results = await asyncio.gather(*map(self._feedback, samples), return_exceptions=True)
        errors = []
        for parcel, result in zip(samples, results, strict=True):
            if isinstance(result, BaseException):
                errors.append(result)
            else:
                shipment.done(parcel)
        if errors:
            # One that stops everything says more than one that concerns a single sample.
            raise min(errors, key=lambda error: isinstance(error, CTError) and fate_of(error) is Fate.REFUSED)
        for parcel in shipment.rest:
            await self._finish(parcel, shipment)
            shipment.done(parcel)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def follow(self, remote: Remote, say: Callable[[str], None]) -> None:
        """Wait until the optimisations of a run have ended; see ``Follows.follow``."""
        for task, job_id in remote.get("jobs", {}).items():
            say(f"{self.name}: {task}: {_ending(await self._ended(task, job_id, say))}")

    async def _feedback(self, parcel: Parcel) -> None:
        sample, case, run = parcel.sample, parcel.case, parcel.run
        if sample is None or case is None or case.task == NO_TASK:
            return
        version = sample.prompts.get(case.task)
        facts: dict[str, Any] = {
            "run_id": run.id,
            "case_id": case.id,
            "sample": sample.trace.sample,
            "revision": run.ci.revision if run.ci else run.revision,
            "branch": run.ci.branch if run.ci else run.branch,
            "prompt_version": version[0] if version else None,
            "error": sample.error,
        }
        body = FeedbackCreate.of(
            sample.trace, task_id=self._ids[case.task], score=sample.metrics.get("score")
        )
        known = {name: value for name, value in facts.items() if value is not None}
        with idempotency_key(parcel.key):
            await self._client.log_feedback(
                self._ids[case.task],
                inputs=body.inputs,
                output=body.output,
                score=body.score,
                metadata={**known, **(body.metadata or {})},
            )

    async def _finish(self, parcel: Parcel, shipment: Shipment) -> None:
        jobs = shipment.remote.setdefault("jobs", {})
        for task in parcel.weak if self._optimizes else ():
            if task not in jobs:
                await self._optimize(task, parcel, shipment)

    async def _optimize(self, task: str, parcel: Parcel, shipment: Shipment) -> None:
        try:
            with idempotency_key(parcel.part_key(task)):
                result = await self._client.trigger_optimization(await self._task_id(task, shipment.say))
        except CTError as exc:
            if fate_of(exc) is not Fate.REFUSED:
                raise
            # 409: one is under way already. 400: there is nothing to learn from.
            shipment.say(f"{self.name}: no optimisation of {task} was started: {exc.message}")
            return
        shipment.remote["jobs"][task] = str(result.job.id)
        for line in _estimate(task, result):
            shipment.say(f"{self.name}: {line}")

    async def _task_id(self, task: str, say: Callable[[str], None]) -> str:
        """Find the platform's id of a task; make the task where there is none."""
        if task not in self._ids:
            name = self._names.get(task, task)
            if _is_uuid(name):
                self._ids[task] = name
                return name
            there = {known.name: str(known.id) for known in await self._client.list_tasks()}
            self._ids |= {
                ours: there[at]
                for ours in (task, *self._names)
                if (at := self._names.get(ours, ours)) in there
            }
            if task not in self._ids:
                made = await self._client.create_task(name, feedback_threshold=NEVER)
                self._ids[task] = str(made.id)
                say(
                    f"{self.name}: made the task {name}; its optimisations start only when they are asked for"
                )
        return self._ids[task]

    async def _ended(self, task: str, job_id: str, say: Callable[[str], None]) -> Job:
        pause, failures, step = _FIRST_LOOK_S, 0, ""
        while True:
            try:
                job = await self._client.get_job(job_id)
                failures = 0
            except CTError as exc:
                failures += 1
                if not exc.transient or failures >= _PATIENCE:
                    raise
            else:
                if job.state in ("succeeded", "failed"):
                    return job
                if (now := job.progress_step or job.status) != step:
                    step = now
                    say(f"{self.name}: {task}: {step}")
            await asyncio.sleep(pause)
            pause = min(_LONGEST_LOOK_S, 1.5 * pause)


def create_kaizen_ct(config: Config, env: Mapping[str, str]) -> KaizenCTBackend:
    """Make the backend.

    Raises:
        PlatformError: The key is missing, or the address cannot be right.
    """
    settings = config.backends.kaizen_ct
    key = key_from(env, settings.key_env)
    client = AsyncCTClient(key, settings.url or env.get(AsyncCTClient.url_variable), timeout=TIMEOUTS)
    return KaizenCTBackend(client, settings.tasks, optimizes=settings.optimize)


def _estimate(task: str, result: OptimizeResult) -> list[str]:
    cost = result.cost_estimate
    lines = [
        f"optimisation of {task} started: job {result.job.id}, about ${cost.estimated_cost_usd:.2f} "
        f"for {cost.estimated_llm_calls} calls to {cost.teacher_model} and {cost.judge_model}"
    ]
    return lines + ([f"budget warning: {result.budget_warning}"] if result.budget_warning else [])


def _ending(job: Job) -> str:
    if job.state == "failed":
        return f"the optimisation failed: {job.error_message or job.status}"
    where = f": {job.pr_url}" if job.pr_url else ""
    problem = f" (without its pull request: {job.error_message})" if job.status == "PR_FAILED" else ""
    return (
        f"the optimisation found version {job.prompt_version_id}{where}{problem}"
        if job.prompt_version_id
        else (f"the optimisation ended without a better version{where}{problem}")
    )


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
