"""Traces to an OpenTelemetry collector: OTLP over HTTP, as JSON."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import httpx

from ...capture.otel import otlp_json
from ...config import Config
from ...errors import PlatformError
from ...platforms import CallFailed, RequestModel
from ...platforms.exchange import Call, Exchange
from .backend import TIMEOUTS, Shipment

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PATH = "/v1/traces"
_SHORTEST_SECRET = 6


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


def create(config: Config, env: Mapping[str, str]) -> OtlpBackend:
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
