"""Kate: a run with trigger ``test`` (``automatic`` in CI), its spans, and the score she gives it.

Spans have no ids of ours at Kate, but this run is ours alone and its spans arrive in the order in
which they were recorded. So their number says how far a broken attempt came: before anything is sent
again, and once for every run and process, the run's spans are read, and those beyond what is known to
be delivered are not sent again. The run's own id is made from ours, so that it is found again. Two
processes that upload the same run at the same moment would not see each other's spans.

Completing a run makes Kate evaluate it, on her own account and when her cooldown allows.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from uuid import NAMESPACE_URL, uuid5

from ...config import Config
from ...errors import KateError, PlatformError
from ...models import ParcelKind, Remote, Run, Sample
from ...platforms import kate
from ...platforms.exchange import idempotency_key
from ...platforms.kate.client import KateClient
from ...report.text import value_text
from . import TIMEOUTS, Parcel, Shipment, key_from

_MOST_SPANS = 200
_MOST_CHARACTERS = 2_000_000
_REQUESTS_A_MINUTE = 60
_MINUTE_S = 60.0
_POLL_S = 2.0
_READS, _READ_S = 3, 0.5
_NOT_FOUND = 404

_Sample = tuple[Parcel, list[kate.NewSpan]]


class KateBackend:
    """Takes runs and their samples to Kate.

    What it keeps in ``remote``: ``run``, Kate's id; ``spans``, how many the delivered parcels have.
    """

    name = "kate"
    max_batch = 50

    def __init__(self, client: KateClient) -> None:
        self._client = client
        self._open: str | None = None
        self._ahead = 0
        self._sent: deque[float] = deque(maxlen=_REQUESTS_A_MINUTE)

    async def send(self, shipment: Shipment) -> None:
        """Begin the run where it is not there, add the spans that are missing, complete it at its end."""
        try:
            if self._open != shipment.run.id:
                self._ahead = await self._begin(shipment)
                self._open = shipment.run.id
            await self._upload(shipment)
            if any(parcel.kind is ParcelKind.RUN_FINISHED for parcel in shipment.rest):
                await self._complete(shipment)
            shipment.done(*shipment.rest)
        except BaseException:
            # Whether the last request arrived is not known.
            self._open = None
            raise

    async def follow(self, remote: Remote, say: Callable[[str], None]) -> None:
        """Wait until the run's overall score is there, and say it."""
        while remote.get("run") and not remote.get("scored"):
            run = await self._client.runs.get(run_id=remote["run"])
            if run.overall_score is not None or run.state == "failed":
                say(_verdict(run))
                return
            await asyncio.sleep(_POLL_S)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _begin(self, shipment: Shipment) -> int:
        """Return how many spans are there that are not known to be delivered."""
        run, remote = shipment.run, shipment.remote
        run_id = remote.setdefault("run", str(uuid5(NAMESPACE_URL, f"urn:pytest-kaizen:run:{run.id}")))
        try:
            await self._client.runs.get(run_id=run_id)
        except KateError as exc:
            if exc.status_code != _NOT_FOUND:
                raise
            with idempotency_key(shipment.parcels[0].part_key("run")):
                made = await self._client.runs.create(trigger=_trigger(run), run_id=run_id)
            remote["run"] = made.id
            return 0
        total = (await self._client.runs.spans(run_id=run_id)).total
        return max(0, total - int(remote.get("spans", 0)))

    async def _upload(self, shipment: Shipment) -> None:
        """Send the samples' spans in batches of whole samples, but for those that are there already."""
        remote = shipment.remote
        samples = [(parcel, _spans(parcel.sample)) for parcel in shipment.rest if parcel.sample]
        for group in _groups(samples):
            spans = [span for _, of_sample in group for span in of_sample]
            there = min(self._ahead, len(spans))
            self._ahead -= there
            for start in range(there, len(spans), _MOST_SPANS):
                await self._wait_for_a_turn()
                with idempotency_key(group[0][0].part_key(f"spans {start}")):
                    await self._client.runs.upload_spans(
                        run_id=remote["run"], spans=spans[start : start + _MOST_SPANS]
                    )
            shipment.done(*(parcel for parcel, _ in group))
            remote["spans"] = remote.get("spans", 0) + len(spans)

    async def _wait_for_a_turn(self) -> None:
        if len(self._sent) == self._sent.maxlen:
            await asyncio.sleep(max(0.0, self._sent[0] + _MINUTE_S - time.monotonic()))
        self._sent.append(time.monotonic())

    async def _complete(self, shipment: Shipment) -> None:
        run_id = shipment.remote["run"]
        run = await self._client.runs.get(run_id=run_id)
        if run.state == "running":
            run = await self._client.runs.complete(run_id=run_id)
        for _ in range(_READS):
            if run.overall_score is not None:
                break
            await asyncio.sleep(_READ_S)
            run = await self._client.runs.get(run_id=run_id)
        shipment.remote["scored"] = run.overall_score is not None
        shipment.say(_verdict(run))


def _spans(sample: Sample) -> list[kate.NewSpan]:
    """Return the steps of a sample, the first of which stands for the whole."""
    trace = sample.trace
    whole = kate.NewSpan(
        node_name=trace.name,
        span_kind="CHAIN",
        input_text=None if trace.input is None else value_text(trace.input),
        output_text=None if trace.output is None else value_text(trace.output),
        error=sample.error or trace.error,
    )
    return [whole, *kate.SpanUpload.of(trace).spans]


def _groups(samples: list[_Sample]) -> Iterator[list[_Sample]]:
    """Yield samples that go together, so that a sample which is refused leaves no part behind."""
    group: list[_Sample] = []
    for sample in samples:
        if group and _is_too_large([*group, sample]):
            yield group
            group = []
        group.append(sample)
    if group:
        yield group


def _is_too_large(group: list[_Sample]) -> bool:
    spans = [span for _, of_sample in group for span in of_sample]
    size = sum(len(span.input_text or "") + len(span.output_text or "") for span in spans)
    return len(spans) > _MOST_SPANS or size > _MOST_CHARACTERS


def _trigger(run: Run) -> kate.Trigger:
    return "automatic" if run.ci and run.ci.provider != "local" else "test"


def _verdict(run: kate.Run) -> str:
    if run.overall_score is not None:
        return f"kate: run {run.id}: overall score {run.overall_score:.2f}"
    return f"kate: run {run.id} {run.status}, not scored yet"


def create(config: Config, env: Mapping[str, str]) -> KateBackend:
    """Make the backend from ``backends.kate``.

    Raises:
        PlatformError: There is no key or no agent, or the URL cannot be right.
    """
    settings = config.backends.kate
    key = key_from(env, settings.key_env)
    agent = settings.agent or env.get("KATE_AGENT_ID")
    if not agent:
        raise PlatformError("no agent: set backends.kate.agent in kaizen.yaml, or KATE_AGENT_ID")
    return KateBackend(KateClient(key, settings.url, agent, TIMEOUTS))
