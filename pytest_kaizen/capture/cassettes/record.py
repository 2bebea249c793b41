"""One recorded exchange: what was asked, and everything that is needed to answer it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..redact import Redactor
from ..sse import is_stream
from ..wire import Exchange
from . import body as bodies
from .layout import OneLine
from .matching import Matcher, Question

#: The headers of an answer that SDKs and their users read; the others differ from call to call.
_HEADERS = frozenset(
    {
        "content-type", "location", "openai-processing-ms", "request-id", "retry-after", "retry-after-ms",
        "x-request-id", "x-should-retry",
    }
)  # fmt: skip
_RATE_LIMIT = "ratelimit"
_WHOLE = "reads"


@dataclass
class Record:
    """A recorded exchange.

    Attributes:
        sample: The number of the sample that made it.
        prompts: The prompt versions that the sample had fetched by then: task → number and SHA-256.
        status: The answer's status; None where no answer came.
        headers: The answer's headers, those that are kept.
        body: The answer's body, described.
        error: The exception that ended it, as its type and message.
        latency_ms: From the request to the end of the answer.
        arrival_ms: When each chunk of a stream came, from the request on.
        cost_usd: What the call cost when it was recorded; None where that was not known, and on the
            failed attempts of a call.
        pause_ms: From its end until the SDK tried the call again; None where it did not.
    """

    sample: int
    question: Question
    prompts: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    error: tuple[str, str] | None = None
    latency_ms: float = 0.0
    arrival_ms: list[float] = field(default_factory=list)
    cost_usd: float | None = None
    pause_ms: float | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it brought an exception or an error status instead of an answer."""
        return self.error is not None or (self.status is not None and self.status >= 400)

    def to_json(self) -> dict[str, Any]:
        """Return what is written to the file, in its order."""
        question = self.question
        written: dict[str, Any] = {"sample": self.sample}
        if self.prompts:
            written["prompts"] = {
                task: {"version": version, "sha256": sha256}
                for task, (version, sha256) in sorted(self.prompts.items())
            }
        written["request"] = {"method": question.method, "url": question.url, **question.body}
        if self.status is not None:
            body = self.body
            if "chunks" in body:
                # For people: the pieces put together. Not read again.
                body = {_WHOLE: bodies.assembled(body["chunks"]), "chunks": OneLine(body["chunks"])}
            written["response"] = {"status": self.status, "headers": dict(self.headers), **body}
        if self.error is not None:
            written["error"] = {"type": self.error[0], "message": self.error[1]}
        written["latency_ms"] = self.latency_ms
        if self.arrival_ms:
            written["arrival_ms"] = self.arrival_ms
        if self.cost_usd is not None:
            written["cost_usd"] = self.cost_usd
        if self.pause_ms is not None:
            written["pause_ms"] = self.pause_ms
        return written

    @classmethod
    def from_json(cls, written: Mapping[str, Any], matcher: Matcher) -> Record:
        """Read what ``to_json`` gave.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: It is something else.
        """
        request = dict(written["request"])
        question = matcher.of_record(str(request.pop("method")), str(request.pop("url")), request)
        response = dict(written.get("response") or {})
        response.pop(_WHOLE, None)
        error = written.get("error")
        status = response.pop("status", None)
        if status is None and error is None:
            raise ValueError("neither a response nor an error")
        headers = response.pop("headers", {})
        if status is not None:
            bodies.check(response)
        return cls(
            sample=int(written["sample"]),
            question=question,
            prompts={
                task: (int(version["version"]), str(version["sha256"]))
                for task, version in written.get("prompts", {}).items()
            },
            status=None if status is None else int(status),
            headers={str(name): str(value) for name, value in headers.items()},
            body=response,
            error=None if error is None else (str(error["type"]), str(error["message"])),
            latency_ms=float(written["latency_ms"]),
            arrival_ms=[float(moment) for moment in written.get("arrival_ms", [])],
            cost_usd=written.get("cost_usd"),
            pause_ms=float(written["pause_ms"]) if "pause_ms" in written else None,
        )


def record_of(
    exchange: Exchange,
    sample: int,
    question: Question,
    prompts: Mapping[str, tuple[int, str]],
    redactor: Redactor,
) -> Record | None:
    """Make the record of an exchange that is over.

    Returns:
        None for one that was never answered: it was cancelled, or is still under way.
    """
    error = _library_error(exchange)
    if exchange.status is None and error is None:
        return None
    ended = exchange.clock if exchange.ended is None else exchange.ended
    record = Record(
        sample=sample,
        # Again: more secrets are known by now.
        question=Question(
            question.method,
            redactor.text(question.url),
            redactor.data(question.body),
            redactor.text(question.key),
        ),
        prompts=dict(prompts),
        status=exchange.status,
        error=None if error is None else (error[0], redactor.text(error[1])),
        latency_ms=_milliseconds(ended - exchange.clock),
        cost_usd=exchange.cost_usd,
        pause_ms=None if exchange.pause is None else _milliseconds(exchange.pause),
    )
    if exchange.status is not None:
        record.headers = {name: redactor.text(value) for name, value in _kept_headers(exchange)}
        record.body, record.arrival_ms = _body(exchange, redactor)
    return record


def _body(exchange: Exchange, redactor: Redactor) -> tuple[dict[str, Any], list[float]]:
    """Describe the answer's body; with when its chunks came, for a stream that was seen to come."""
    whole, ends = exchange.body()
    if not is_stream(exchange.content_type, whole):
        return redactor.data(bodies.encode(whole)), []
    starts = [0, *ends[:-1]]
    # Where it was compressed, a chunk may give nothing by itself.
    filled = [number for number, end in enumerate(ends) if end > starts[number]]
    chunks = [whole[starts[number] : ends[number]] for number in filled]
    arrivals = [_milliseconds(exchange.times[number] - exchange.clock) for number in filled if exchange.times]
    return bodies.encode_stream(chunks, redactor.data), arrivals


def _kept_headers(exchange: Exchange) -> list[tuple[str, str]]:
    pairs = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in exchange.headers]
    return sorted((name, value) for name, value in pairs if name in _HEADERS or _RATE_LIMIT in name)


def _library_error(exchange: Exchange) -> tuple[str, str] | None:
    """Return the library's own error that ended an exchange; what the user's code raised is none."""
    if exchange.error is None:
        return None
    kind, _, message = exchange.error.partition(": ")
    known = getattr(exchange.library, kind, None)
    is_known = isinstance(known, type) and issubclass(known, exchange.library.RequestError)
    return (kind, message) if is_known else None


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
