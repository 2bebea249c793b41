"""One recorded exchange: what was asked, what is the same question, and everything to answer it again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_core import PydanticSerializationError, to_json

from ..redact import Redactor
from ..wire import Exchange, is_event_stream
from .layout import OneLine, assembled, check_body, encode_body, encode_stream, render

#: What changes from run to run and says nothing about the answer.
VOLATILE_FIELDS = ("metadata.user_id", "prompt_cache_key", "safety_identifier", "user")

_LONG = 2000
_BASE64 = re.compile(r"(?:data:[\w/.+;=-]*,)?[A-Za-z0-9+/_-]+=*")
_LABEL = re.compile(r"\[redacted: [^\]\"]*\]")

#: The headers of an answer that SDKs and their users read; the others differ from call to call.
_HEADERS = frozenset(
    {
        "content-type", "location", "openai-processing-ms", "request-id", "retry-after", "retry-after-ms",
        "x-request-id", "x-should-retry",
    }
)  # fmt: skip
_RATE_LIMIT = "ratelimit"
_WHOLE = "reads"

_MOST_LINES = 60
_CONTEXT = 2


class Question(NamedTuple):
    """A request, without what is secret or ignored.

    Attributes:
        url: Without port, user, password and query.
        body: ``{"json": …}`` or ``{"text": …}``.
        key: Equal for requests that are the same.
    """

    method: str
    url: str
    body: dict[str, Any]
    key: str

    def digest(self, sample: int) -> str:
        """Return a short name of this request in a sample."""
        return hashlib.sha256(f"{sample} {self.key}".encode("utf-8", "surrogatepass")).hexdigest()[:12]


class Matcher:
    """Makes questions of requests. Headers and the order of keys make no difference.

    Args:
        redactor: Takes out secrets. Two that differ in nothing but a secret are the same.
        fields: Paths of what is left out of JSON bodies, such as ``metadata.session``; ``*`` is any
            key or every item. ``VOLATILE_FIELDS`` are always left out.
        patterns: Regular expressions; what they match in texts may differ, such as a date.
    """

    def __init__(self, redactor: Redactor, fields: Sequence[str] = (), patterns: Sequence[str] = ()) -> None:
        self.redactor = redactor
        self._fields = [path.split(".") for path in (*VOLATILE_FIELDS, *fields)]
        self._patterns = [re.compile(pattern) for pattern in patterns]

    def of_request(self, request: Any) -> Question:
        """Make the question of a request of httpx or httpx2 whose body has been read."""
        url = request.url
        path = url.raw_path.partition(b"?")[0].decode("ascii", "replace")
        place = self.redactor.text(f"{url.scheme}://{url.host}{path}")
        body = encode_body(request.content)
        if len(request.content) >= _LONG:
            body = _without_files(body)
        return self.of_record(request.method, place, self.redactor.data(body))

    def of_record(self, method: str, url: str, body: dict[str, Any]) -> Question:
        """Make the question of a request that was kept."""
        if "json" in body:
            content = body["json"]
            for path in self._fields:
                if not isinstance(content, dict) or path[0] in content or path[0] == "*":
                    _remove(content, path)
        compared = _substituted(body, self._patterns) if self._patterns else body
        text = _in_order(compared)
        key = f"{method} {url.partition('://')[2]} {text}"
        return Question(method, url, body, _LABEL.sub("[redacted]", key) if "[redacted" in key else key)


def _without_files(value: Any) -> Any:
    """Replace images and files by their hash: whoever reads a cassette can do nothing with them."""
    if isinstance(value, str):
        if len(value) < _LONG or not _BASE64.fullmatch(value):
            return value
        return f"[{len(value)} characters, sha256 {hashlib.sha256(value.encode()).hexdigest()}]"
    if isinstance(value, dict):
        return {key: _without_files(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_files(item) for item in value]
    return value


def _in_order(value: Any) -> str:
    """Write JSON, the same for equal values whatever the order of their keys."""
    try:
        return to_json(_sorted(value), inf_nan_mode="constants").decode()
    except PydanticSerializationError:
        # Half a surrogate pair is too much for the fast one.
        return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(item) for key, item in sorted(value.items())}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _remove(value: Any, path: list[str]) -> None:
    if isinstance(value, list):
        for item in value if path[0] == "*" else ():
            if path[1:]:
                _remove(item, path[1:])
    elif isinstance(value, dict):
        for key in list(value) if path[0] == "*" else [path[0]] if path[0] in value else []:
            if path[1:]:
                _remove(value[key], path[1:])
                if value[key] == {}:
                    del value[key]
            else:
                del value[key]


def _substituted(value: Any, patterns: Sequence[re.Pattern[str]]) -> Any:
    if isinstance(value, str):
        for pattern in patterns:
            value = pattern.sub("[ignored]", value)
        return value
    if isinstance(value, dict):
        return {key: _substituted(item, patterns) for key, item in value.items()}
    if isinstance(value, list):
        return [_substituted(item, patterns) for item in value]
    return value


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
                body = {_WHOLE: assembled(body["chunks"]), "chunks": OneLine(body["chunks"])}
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
            check_body(response)
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
    if not is_event_stream(exchange.content_type, whole):
        return redactor.data(encode_body(whole)), []
    starts = [0, *ends[:-1]]
    # Where it was compressed, a chunk may give nothing by itself.
    filled = [number for number, end in enumerate(ends) if end > starts[number]]
    chunks = [whole[starts[number] : ends[number]] for number in filled]
    arrivals = [_milliseconds(exchange.times[number] - exchange.clock) for number in filled if exchange.times]
    return encode_stream(chunks, redactor.data), arrivals


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


def nearest(question: Question, records: Sequence[Record]) -> Record | None:
    """Return the record whose request has most in common with another; None where there is no record."""
    # Only needed here and below, and slow to import.
    import difflib

    lines = _lines(question)
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(lines)

    def likeness(record: Record) -> float:
        matcher.set_seq1(_lines(record.question))
        return matcher.ratio()

    return max(records, key=likeness, default=None)


def difference(recorded: Question, asked: Question) -> list[str]:
    """Compare two requests line by line: what was recorded, and what is asked now."""
    lines = list(_shortened(_diff(_lines(recorded), _lines(asked))))
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"... and {len(lines) - _MOST_LINES} more lines"]
    return lines


def _diff(old: list[str], new: list[str]) -> Iterator[str]:
    import difflib

    diff = difflib.unified_diff(old, new, "recorded", "now", n=_CONTEXT, lineterm="")
    return (line for line in diff if not line.startswith("@@"))


def _shortened(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if len(line) <= 240 else f"{line[:239]}…"


def _lines(question: Question) -> list[str]:
    # Keys in one order, as they make no difference.
    body = json.loads(json.dumps(question.body, sort_keys=True))
    return [f"{question.method} {question.url}", *render(body).splitlines()]
