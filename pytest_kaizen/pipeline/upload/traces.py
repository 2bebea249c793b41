"""Traces of samples, to Kalmia and to an OpenTelemetry collector (OTLP over HTTP, as JSON).

Kalmia gets a trace for each sample, a thumb down for those that failed, an experiment for each run.
Traces merge by their ids and feedback overwrites, so that sending them again changes nothing. An
experiment has no id of ours: it is found by the run's id among its correlation ids, before another
one would be made. Two could only come of a list that cannot be read, or of two processes that upload
the same run at the same moment.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import httpx

from ...capture.otel import otlp_json
from ...config import Config
from ...errors import KalmiaError, PlatformError
from ...models import CIContext, ParcelKind, Run, Sample
from ...platforms import CallFailed, RequestModel, one_line
from ...platforms.exchange import Call, Exchange, idempotency_key
from ...platforms.kalmia import Experiment
from ...platforms.kalmia.client import AsyncKalmiaClient
from ...platforms.kalmia.trace_wire import KalmiaTrace
from . import TIMEOUTS, Shipment, key_from

_HOSTED = "https://www.kalmia.dev"
_SHORT_REVISION = 12
_OK = 200
_NOT_STORED = 422

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PATH = "/v1/traces"
_SHORTEST_SECRET = 6


class KalmiaBackend:
    """Takes samples and runs to Kalmia.

    What it keeps in ``remote``: ``experiment``, the id of the run's experiment.

    Attributes:
        project: The project that the traces belong to.
    """

    name = "kalmia"
    max_batch = 50

    def __init__(self, client: AsyncKalmiaClient, project: str) -> None:
        self._client = client
        self.project = project

    @property
    def url(self) -> str:
        """Where Kalmia is."""
        return self._client.base_url

    async def send(self, shipment: Shipment) -> None:
        """Register the run's experiment, then store the samples."""
        if "experiment" not in shipment.remote:
            shipment.remote["experiment"] = await self._experiment(shipment)
        shipment.done(*(parcel for parcel in shipment.rest if parcel.kind is ParcelKind.RUN_BEGUN))
        await self._ingest(shipment)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _experiment(self, shipment: Shipment) -> str:
        run = shipment.run
        for known in await self._known():
            if run.id in known.correlation_ids:
                return known.id
        name = experiment_name(run)
        with idempotency_key(shipment.parcels[0].part_key("experiment")):
            made = await self._client.create_experiment(name, [run.id])
        shipment.say(f"kalmia: experiment '{name}': {made.id}")
        return made.id

    async def _known(self) -> list[Experiment]:
        try:
            return await self._client.list_experiments()
        except KalmiaError as exc:
            # What a list looks like is not published: one that cannot be read holds nothing up.
            if exc.transient or exc.status_code != _OK:
                raise
            return []

    async def _ingest(self, shipment: Shipment) -> None:
        samples = [(parcel, parcel.sample) for parcel in shipment.rest if parcel.sample]
        if not samples:
            return
        traces = [
            KalmiaTrace.of(sample.trace, project=self.project, correlation_id=shipment.run.id)
            for _, sample in samples
        ]
        rejected = {item.id: item.reason for item in (await self._client.ingest(traces)).rejected}
        for parcel, sample in samples:
            if sample.trace.id in rejected:
                continue
            if sample.passed is False:
                await self._client.submit_feedback(sample.trace.id, "down", _why(sample))
            shipment.done(parcel)
        if rejected:
            reasons = "; ".join(dict.fromkeys(one_line(str(reason)) for reason in rejected.values()))
            raise KalmiaError(
                f"Kalmia did not store {len(rejected)} of {len(samples)} traces: {reasons}", _NOT_STORED
            )


def experiment_name(run: Run) -> str:
    """Name a run's experiment by what was tested: ``main @ 0123456789ab, pull request 7``."""
    ci = run.ci or CIContext(provider="local", revision=run.revision, branch=run.branch)
    state = " @ ".join(filter(None, [ci.branch, (ci.revision or "")[:_SHORT_REVISION]]))
    details = [
        ci.pull_request and f"pull request {ci.pull_request}",
        "with local changes" if ci.dirty else None,
    ]
    return ", ".join(filter(None, [state or f"run {run.id}", *details]))


def _why(sample: Sample) -> str:
    """Return the error of the body and what its failed checks said."""
    failed = [
        f"{score.name}: {score.reason or 'failed'}" for score in sample.trace.scores if score.value == 0
    ]
    return "\n".join([*filter(None, [sample.error]), *failed]) or "failed"


def create_kalmia(config: Config, env: Mapping[str, str]) -> KalmiaBackend:
    """Make the backend from ``backends.kalmia``.

    Raises:
        PlatformError: There is no key, or the URL cannot be right.
    """
    settings = config.backends.kalmia
    url = settings.url or env.get("KALMIA_BASE_URL") or _HOSTED
    client = AsyncKalmiaClient(key_from(env, settings.key_env), url, TIMEOUTS)
    return KalmiaBackend(client, settings.project or config.root.resolve().name or "pytest-kaizen")


class _Body(RequestModel):
    """What a collector takes at ``/v1/traces``."""

    resourceSpans: list[dict[str, Any]]  # noqa: N815 - the key of the protocol


class OtlpBackend:
    """Sends each sample as a trace.

    A collector counts what it is sent: a batch that was sent again, because its answer was lost, may
    stand there twice, with the same trace and span ids.

    Args:
        url: The collector.
        headers: Sent with every request; their values are shown nowhere.
    """

    name = "otlp"
    max_batch = 50

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url.rstrip("/")
        self._headers = dict(headers)
        self._http: httpx.AsyncClient | None = None

    async def send(self, shipment: Shipment) -> None:
        """Send the traces of the parcels; see ``Backend.send``."""
        body = otlp_json(parcel.sample.trace for parcel in shipment.parcels if parcel.sample)
        try:
            content = _Body.model_validate(body).to_bytes()
            answer = (await self._exchange().send(Call("POST", _PATH, content=content))).json()
        except CallFailed as exc:
            failure = exc.failure
            raise PlatformError(
                failure.message,
                failure.status_code,
                failure.body,
                transient=failure.transient,
                retry_after=failure.retry_after,
            ) from None
        if rejected := _rejected(answer):
            shipment.say(f"otlp: the collector rejected {rejected}")

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()

    def _exchange(self) -> Exchange:
        http = self._http
        if http is None:
            version = importlib.metadata.version("pytest-kaizen")
            self._http = http = httpx.AsyncClient(
                headers={"User-Agent": f"pytest-kaizen/{version}", **self._headers},
                timeout=httpx.Timeout(TIMEOUTS.read, connect=TIMEOUTS.connect),
            )
        return Exchange(lambda: http, self._url, TIMEOUTS, self._hide)

    def _hide(self, text: str) -> str:
        # A short value is no secret, and would be found in words that have nothing to do with it.
        for value in self._headers.values():
            text = text.replace(value, "[header]") if len(value) >= _SHORTEST_SECRET else text
        return text


def create_otlp(config: Config, env: Mapping[str, str]) -> OtlpBackend:
    """Make the backend.

    Raises:
        PlatformError: There is no address, or the headers cannot be read.
    """
    settings = config.backends.otlp
    url = settings.url or env.get(_ENDPOINT)
    if not url:
        raise PlatformError(f"no address: set backends.otlp.url in kaizen.yaml, or {_ENDPOINT}")
    if not url.startswith(("http://", "https://")):
        raise PlatformError(f"{_ENDPOINT} must start with http:// or https://")
    return OtlpBackend(url, _headers(env.get(settings.headers_env, ""), settings.headers_env))


def _headers(text: str, variable: str) -> dict[str, str]:
    """Read ``name=value,name=value``, the values percent-encoded."""
    headers = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = item.partition("=")
        value = unquote(value.strip())
        if not equals or not name.strip().isascii() or not (value.isascii() and value.isprintable()):
            raise PlatformError(f"{variable} must be name=value,name=value, in ASCII")
        headers[name.strip()] = value
    return headers


def _rejected(answer: Any) -> str:
    """Read how much of a request that succeeded was not taken; empty when all was."""
    partial = answer.get("partialSuccess") if isinstance(answer, dict) else None
    if not isinstance(partial, dict) or str(partial.get("rejectedSpans") or 0) == "0":
        return ""
    return f"{partial['rejectedSpans']} spans: {partial.get('errorMessage', '')}"
