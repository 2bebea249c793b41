"""Kayba: a Markdown file for each finished case, and insights of the cases that failed.

A case's file is named after the trace of its first sample. Kayba keeps a second file of the same name
beside the first, so what is there is read once for every run, and again after a failure, before
anything is sent: no file is there twice, whenever the work was broken off.

Insight generation is paid for. It is asked for at the end of a run, for the failing cases of tasks
that the user wants to pay for, and not again once the request may have arrived. Only a process that
is killed while it asks forgets that it did; a server that honours ``Idempotency-Key`` then still counts
it once, Kayba's own may start a second job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ...config import Config
from ...errors import PlatformError
from ...models import Case, Outcome, ParcelKind, Remote, Run
from ...platforms.exchange import idempotency_key
from ...platforms.kayba import Job
from ...platforms.kayba.client import AsyncKaybaClient
from ...report.documents import case_markdown
from . import TIMEOUTS, Parcel, Shipment, key_from

#: Kayba's own command warns beyond this many characters.
_LONGEST_FILE = 350_000
#: A reflector learns little more from further cases of the same task, and each is paid for.
_MOST_CASES = 50
_POLL_S = 2.0


class KaybaBackend:
    """Takes finished cases to Kayba.

    What it keeps in ``remote``: ``failing``, by task the file ids of the cases that failed; ``asked``,
    whether insights were asked for; ``job``, who makes them.
    """

    name = "kayba"
    max_batch = 20

    def __init__(self, client: AsyncKaybaClient) -> None:
        self._client = client
        self._files: dict[str, dict[str, str]] = {}

    async def send(self, shipment: Shipment) -> None:
        """Upload the files that are not there yet; at the run's end, ask for insights."""
        run_id = shipment.run.id
        try:
            if run_id not in self._files:
                self._files = {run_id: await self._look()}
            await self._upload(shipment, self._files[run_id])
            for parcel in shipment.rest:
                await self._finish(parcel, shipment)
                shipment.done(parcel)
        except BaseException:
            # Whether the last request arrived is not known.
            self._files.clear()
            raise

    async def follow(self, remote: Remote, say: Callable[[str], None]) -> None:
        """Wait until the insights are there, and say how many they are."""
        job_id = remote.get("job")
        while job_id:
            job = Job.model_validate(await self._client.get_job(job_id))
            if job.state in ("succeeded", "failed"):
                made = job.result.skills_generated if job.result else None
                said = job.error or ("" if made is None else f"{made} insights, waiting for triage")
                say(f"kayba: job {job_id} {job.status}" + (f": {said}" if said else ""))
                return
            await asyncio.sleep(_POLL_S)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _look(self) -> dict[str, str]:
        """Return the ids of the files that are there, by their names."""
        return {trace["filename"]: trace["id"] for trace in (await self._client.list_traces())["traces"]}

    async def _upload(self, shipment: Shipment, there: dict[str, str]) -> None:
        parcels = [parcel for parcel in shipment.rest if parcel.kind is ParcelKind.CASE_FINISHED]
        cases = {
            _filename(parcel.case): parcel.case for parcel in parcels if parcel.case and parcel.case.samples
        }
        missing = [name for name in cases if name not in there]
        if missing:
            files = [_file(name, cases[name], shipment.run) for name in missing]
            with idempotency_key(parcels[0].part_key(" ".join(missing))):
                uploaded = await self._client.upload_traces(files)
            there.update({trace["filename"]: trace["id"] for trace in uploaded["traces"]})
        for name, case in cases.items():
            if name in there and _failed(case):
                _note(shipment.remote, case.task, there[name])
        shipment.done(*parcels)

    async def _finish(self, parcel: Parcel, shipment: Shipment) -> None:
        remote = shipment.remote
        failing = {task: remote.get("failing", {}).get(task, []) for task in parcel.weak}
        tasks = ", ".join(task for task, files in failing.items() if files)
        if not tasks or remote.get("job"):
            return
        if remote.get("asked"):
            shipment.say(f"kayba: insights for {tasks} may be under way; they are not asked for again")
            return
        # A server that is down says so here, where it cannot have begun.
        await self._look()
        remote["asked"] = True
        traces = [file for files in failing.values() for file in files]
        try:
            with idempotency_key(parcel.part_key("insights")):
                remote["job"] = (await self._client.generate_insights(traces))["jobId"]
        except PlatformError as exc:
            remote["asked"] = exc.transient and exc.status_code != 429
            raise
        count = "1 failing case" if len(traces) == 1 else f"{len(traces)} failing cases"
        shipment.say(f"kayba: insights asked for, from {count} of {tasks}: {remote['job']}")


def _filename(case: Case) -> str:
    return f"{case.samples[0].trace.id}.md"


def _file(name: str, case: Case, run: Run) -> dict[str, Any]:
    return {"filename": name, "content": case_markdown(case, run, _LONGEST_FILE), "fileType": "md"}


def _note(remote: Remote, task: str, file_id: str) -> None:
    known: list[str] = remote.setdefault("failing", {}).setdefault(task, [])
    if file_id not in known and len(known) < _MOST_CASES:
        known.append(file_id)


def _failed(case: Case) -> bool:
    verdicts = [gate.outcome for gate in case.gates]
    broken = any(sample.passed is False for sample in case.samples)
    return case.outcome in ("failed", "error") or broken or Outcome.FAIL in verdicts


def create(config: Config, env: Mapping[str, str]) -> KaybaBackend:
    """Make the backend from ``backends.kayba``.

    Raises:
        PlatformError: There is no key, or the URL cannot be right.
    """
    settings = config.backends.kayba
    return KaybaBackend(AsyncKaybaClient(key_from(env, settings.key_env), settings.url, TIMEOUTS))
