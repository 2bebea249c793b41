"""MLflow's tracking server (3 and later): its traces over the REST API that its own client uses."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ...capture.build import cost_of
from ...capture.otel.received import Event, ReceivedSpan, span_of
from ...errors import PlatformError
from ...models import Score, ScoreSource, Span, SpanKind, Trace, Usage
from . import Checked, Connection, Page, Project, moment
from .remote import Remote, alone, exchange_of

_SEARCH = "/api/3.0/mlflow/traces/search"
_GET = "/api/3.0/mlflow/traces/batchGet"
#: Where the spans are of traces that the server keeps as files.
_FILES = "/ajax-api/2.0/mlflow/get-trace-artifact"
_EXPERIMENTS = "/api/2.0/mlflow/experiments"
_MOST_EXPERIMENTS = 1000
_STORED = frozenset({"TRACKING_STORE", "ARCHIVE_REPO"})
#: What a server answers where the spans of one trace are lost, or not written yet.
_OF_ONE_TRACE = frozenset({400, 404, 500})
_VERSION = re.compile(r"[0-9][\w.+-]{0,40}")
_KINDS = {
    "LLM": SpanKind.LLM,
    "CHAT_MODEL": SpanKind.LLM,
    "TOOL": SpanKind.TOOL,
    "AGENT": SpanKind.AGENT,
    "RETRIEVER": SpanKind.RETRIEVER,
    "RERANKER": SpanKind.RETRIEVER,
    "EMBEDDING": SpanKind.EMBEDDING,
    "EVALUATOR": SpanKind.JUDGE,
}
_STATUSES = {"STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_SOURCES = {"HUMAN": ScoreSource.HUMAN, "LLM_JUDGE": ScoreSource.JUDGE, "AI_JUDGE": ScoreSource.JUDGE}
_WORDS = {"yes": 1.0, "true": 1.0, "pass": 1.0, "no": 0.0, "false": 0.0, "fail": 0.0}
_USAGE = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
}

Json = Mapping[str, Any]


class Mlflow:
    """A tracking server.

    Args:
        connection: Where it is and who asks.
    """

    def __init__(self, connection: Connection) -> None:
        self._remote = Remote("mlflow", connection)
        self._price = connection.price

    def check(self) -> Checked:
        """See whether it is there and lets us in."""
        experiments = len(self.projects())
        try:
            version = self._remote.ask("GET", "/version", read=bytes.decode).strip()
        except PlatformError:
            # It is of no use but to be shown, and a server may keep it to itself.
            version = None
        return Checked(version if version and _VERSION.fullmatch(version) else None, experiments)

    def project(self, name: str) -> Project | None:
        """Find an experiment by its name, else by its id."""
        for path, params in (("get-by-name", {"experiment_name": name}), ("get", {"experiment_id": name})):
            try:
                found = self._remote.ask("GET", f"{_EXPERIMENTS}/{path}", params=params)["experiment"]
                return Project(str(found["experiment_id"]), str(found["name"]))
            except PlatformError as exc:
                # What is no id at all is a bad request.
                if exc.status_code not in (400, 404):
                    raise
            except (KeyError, TypeError):
                raise PlatformError("mlflow: the answer is no experiment") from None
        return None

    def projects(self) -> list[Project]:
        """Return the experiments that are not deleted."""
        answer = self._remote.ask(
            "POST",
            f"{_EXPERIMENTS}/search",
            body={"max_results": _MOST_EXPERIMENTS, "view_type": "ACTIVE_ONLY"},
        )
        found = answer.get("experiments", []) if isinstance(answer, dict) else []
        return [Project(str(item.get("experiment_id")), str(item.get("name"))) for item in found]

    def page(self, project: Project, *, since: datetime | None, cursor: str | None, size: int) -> Page:
        """Fetch traces of an experiment, the newest first."""
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": project.id}}
        query: dict[str, Any] = {"locations": [place], "max_results": size, "order_by": ["timestamp_ms DESC"]}
        if since is not None:
            query["filter"] = f"timestamp_ms >= {int(since.timestamp() * 1000)}"
        if cursor is not None:
            query["page_token"] = cursor
        answer = self._remote.ask("POST", _SEARCH, body=query)
        infos = {str(info["trace_id"]): info for info in answer.get("traces") or () if "trace_id" in info}
        traces, left_out = [], []
        spans = self._spans([trace_id for trace_id, info in infos.items() if _is_stored(info)])
        for trace_id, info in infos.items():
            try:
                traces.append(
                    self._trace(project, trace_id, info, spans.get(trace_id) or self._kept(trace_id))
                )
            except (KeyError, ValueError, TypeError, AttributeError) as exc:
                left_out.append(f"{trace_id}: {type(exc).__name__}: {exc}")
            except PlatformError as exc:
                if exc.status_code not in _OF_ONE_TRACE:
                    raise
                left_out.append(f"{trace_id}: {exc}")
        return Page(traces, answer.get("next_page_token") or None, left_out)

    def close(self) -> None:
        """Close the connections."""
        self._remote.close()

    def _spans(self, wanted: list[str]) -> dict[str, list[Json]]:
        """Return the spans of traces that the server has in its database."""
        if not wanted:
            return {}
        try:
            answer = self._remote.ask("GET", _GET, params={"trace_ids": wanted})
        except PlatformError as exc:
            # A server of before there was such a database.
            if exc.status_code in (404, 405):
                return {}
            raise
        found = answer.get("traces") or ()
        return {str(item["trace_info"]["trace_id"]): item.get("spans") or [] for item in found}

    def _kept(self, trace_id: str) -> list[Json]:
        """Return the spans of a trace that the server keeps as a file."""
        answer = self._remote.ask("GET", _FILES, params={"request_id": trace_id}, again=False)
        spans: list[Json] = answer["spans"]
        return spans

    def _trace(self, project: Project, trace_id: str, info: Json, given: Iterable[Json]) -> Trace:
        received = [_received(span) for span in given]
        spans = sorted((self._span(span) for span in received), key=lambda span: span.started_at)
        facts = {span.span_id: span.attributes for span in received}
        root = next((span for span in spans if span.parent_id is None), None)
        said = {} if root is None else facts[root.id]
        tags, metadata = info.get("tags") or {}, info.get("trace_metadata") or {}
        scores, notes, reference = _assessed(info.get("assessments") or ())
        failed = info.get("state") == "ERROR"
        created = moment(info.get("request_time")) or (root.started_at if root else None)
        return Trace(
            # As OpenTelemetry has it: a trace that also came over OTLP is the same one.
            id=received[0].trace_id if received else trace_id,
            name=tags.get("mlflow.traceName") or (root.name if root else trace_id),
            created_at=created or datetime.now(UTC),
            input=alone(said.get("mlflow.spanInputs")),
            output=alone(said.get("mlflow.spanOutputs")),
            reference=reference,
            error=(root.error if root else None) or ("error" if failed else None),
            metadata={
                "source": "mlflow",
                "project": project.name,
                "mlflow": {"trace_id": trace_id, "tags": _own(tags), "metadata": _own(metadata), **notes},
            },
            scores=scores,
            spans=spans,
        )

    def _span(self, received: ReceivedSpan) -> Span:
        facts = received.attributes
        made = span_of(received, self._price)
        kind = _KINDS.get(str(facts.get("mlflow.spanType")), made.kind)
        inputs, outputs = facts.get("mlflow.spanInputs"), facts.get("mlflow.spanOutputs")
        if inputs is None and outputs is None:
            made.kind = kind
            return made
        exchange = exchange_of(kind, inputs, outputs)
        used = facts.get("mlflow.chat.tokenUsage")
        usage = (
            Usage(**{field: used.get(key) for field, key in _USAGE.items()})
            if isinstance(used, dict)
            else made.usage
        )
        model = _text(facts.get("mlflow.llm.model")) or exchange.model or made.model
        costs = facts.get("mlflow.llm.cost")
        cost = costs.get("total_cost") if isinstance(costs, dict) else None
        update: dict[str, Any] = {
            "kind": kind,
            "input": exchange.input or made.input,
            "output": exchange.output or made.output,
            "usage": usage,
            "model": model,
            "provider": _text(facts.get("mlflow.llm.provider")) or made.provider,
        }
        if kind is SpanKind.LLM:
            priced = cost_of(self._price, model, usage)
            update["cost_usd"] = float(cost) if isinstance(cost, int | float) else priced
        return made.model_copy(update=update)


def _is_stored(info: Json) -> bool:
    """Whether the server has the spans of a trace: of several asked for, one that it has not fails all."""
    return (info.get("tags") or {}).get("mlflow.trace.spansLocation") in _STORED


def _received(span: Json) -> ReceivedSpan:
    """Read a span as the REST API has it, which is OTLP's JSON in snake case, or as its files have it."""
    status = span.get("status") or {}
    attributes = _attributes(span.get("attributes"))
    return ReceivedSpan(
        trace_id=_hex(span["trace_id"]),
        span_id=_hex(span["span_id"]),
        parent_id=_hex(span["parent_span_id"]) if span.get("parent_span_id") else None,
        name=str(span.get("name") or ""),
        start_ns=int(span.get("start_time_unix_nano") or 0),
        end_ns=int(span.get("end_time_unix_nano") or span.get("start_time_unix_nano") or 0),
        attributes=attributes,
        events=[
            Event(str(event.get("name")), _attributes(event.get("attributes")))
            for event in span.get("events") or ()
        ],
        status=_STATUSES.get(str(status.get("code")), 0),
        message=str(status.get("message") or ""),
    )


def _hex(text: str) -> str:
    return base64.b64decode(text, validate=True).hex()


def _attributes(given: Any) -> dict[str, Any]:
    if isinstance(given, dict):
        # A file has the text of their JSON.
        return {key: _loaded(value) for key, value in given.items()}
    return {pair["key"]: _value(pair.get("value") or {}) for pair in given or ()}


def _value(value: Json) -> Any:
    for kind, given in value.items():
        if kind == "int_value":
            return int(given)
        if kind == "array_value":
            return [_value(item) for item in given.get("values") or ()]
        if kind == "kvlist_value":
            return _attributes(given.get("values") or [])
        return given
    return None


def _loaded(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _assessed(given: Iterable[Json]) -> tuple[list[Score], dict[str, Any], Any]:
    """Return the scores among assessments, what else they say, and the answer that was expected."""
    scores, notes, reference = {}, {}, None
    for item in given:
        name = str(item.get("assessment_name"))
        if item.get("valid") is False:
            # Another one has taken its place.
            continue
        if "expectation" in item:
            expected = (item["expectation"] or {}).get("value")
            notes[name] = expected
            if name == "expected_response":
                reference = expected
            continue
        feedback = item.get("feedback") or {}
        source = _SOURCES.get(str((item.get("source") or {}).get("source_type")), ScoreSource.SDK)
        value, failed = _number(feedback.get("value")), feedback.get("error") or {}
        if value is not None or failed:
            error = None if value is not None else str(failed.get("error_message") or "error")
            scores[name, source] = Score(
                name=name, value=value, error=error, source=source, reason=_text(item.get("rationale"))
            )
        else:
            notes[name] = feedback.get("value")
    return list(scores.values()), {"assessments": notes} if notes else {}, reference


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return _WORDS.get(value.strip().lower())
    return float(value) if isinstance(value, bool | int | float) and 0 <= value <= 1 else None


def _own(pairs: Json) -> dict[str, Any]:
    """Return what the user has said, without MLflow's own bookkeeping."""
    return {key: value for key, value in pairs.items() if not key.startswith("mlflow.")}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
