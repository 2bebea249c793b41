"""LangSmith and Braintrust: the traces of a project over their REST APIs.

LangSmith's are asked for by its newer query of runs where a server has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from ...capture.build import cost_of
from ...capture.wire import one_line
from ...errors import PlatformError
from ...models import Score, ScoreSource, Span, SpanKind, Trace, Usage
from ...platforms.kalmia.arrived import arrived
from ...platforms.kalmia.trace_wire import KalmiaTrace
from . import Checked, Connection, Page, Project, moment
from .remote import Remote, alone, exchange_of

_SESSIONS = "/api/v1/sessions"
_MOST_SESSIONS = 100
_MOST_RUNS = 100
#: Before there was any of it; the newer query looks at one day only where nothing is said.
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
_FIELDS = (
    "id",
    "name",
    "run_type",
    "status",
    "start_time",
    "end_time",
    "inputs",
    "outputs",
    "error",
    "trace_id",
    "dotted_order",
    "tags",
    "extra",
    "feedback_stats",
    "total_cost",
    "prompt_tokens",
    "completion_tokens",
    "prompt_token_details",
)
_KINDS = {
    "llm": SpanKind.LLM,
    "tool": SpanKind.TOOL,
    "retriever": SpanKind.RETRIEVER,
    "embedding": SpanKind.EMBEDDING,
}

Json = Mapping[str, Any]

_PROJECTS = "/v1/project"
_MOST_PROJECTS = 1000
#: That one query returns.
_MOST_TRACES = 1000
_ID = re.compile(r"[\w.:-]{1,200}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class _Query(NamedTuple):
    """How a version of the query names what it is told and what it answers."""

    path: str
    project: str
    trace: str
    since: str
    size: str
    select: str
    fields: list[str]
    runs: str


_NEWER = _Query(
    "/api/v2/runs/query",
    "project_ids",
    "trace_id",
    "min_start_time",
    "page_size",
    "selects",
    [name.upper() for name in (*_FIELDS, "parent_run_ids")],
    "items",
)
_OLDER = _Query(
    "/api/v1/runs/query",
    "session",
    "trace",
    "start_time",
    "limit",
    "select",
    [*_FIELDS, "parent_run_id"],
    "runs",
)


class Langsmith:
    """A LangSmith server.

    Args:
        connection: Where it is and who asks.
    """

    def __init__(self, connection: Connection) -> None:
        self._remote = Remote("langsmith", connection)
        self._price = connection.price
        self._query = _NEWER

    def check(self) -> Checked:
        """See whether it is there and lets us in."""
        self._remote.ask("GET", _SESSIONS, params={"limit": 1})
        return Checked()

    def project(self, name: str) -> Project | None:
        """Find a project by its name."""
        found = self._remote.ask("GET", _SESSIONS, params={"name": name, "limit": _MOST_SESSIONS})
        return next((Project(str(item["id"]), name) for item in found if item.get("name") == name), None)

    def projects(self) -> list[Project]:
        """Return the projects, the hundred newest."""
        found = self._remote.ask("GET", _SESSIONS, params={"limit": _MOST_SESSIONS})
        return [Project(str(item["id"]), str(item["name"])) for item in found]

    def page(self, project: Project, *, since: datetime | None, cursor: str | None, size: int) -> Page:
        """Fetch traces of a project, the newest first."""
        wanted = {"is_root": True}
        roots, following = self._runs(project, wanted, since, cursor, min(size, _MOST_RUNS))
        traces, left_out = [], []
        for root in roots:
            try:
                traces.append(self._trace(project, root, list(self._of_trace(project, root))))
            except (LookupError, ValueError, TypeError, AttributeError) as exc:
                left_out.append(f"{root.get('trace_id') or root.get('id')}: {type(exc).__name__}: {exc}")
        return Page(traces, following, left_out)

    def close(self) -> None:
        """Close the connections."""
        self._remote.close()

    def _of_trace(self, project: Project, root: Json) -> Iterator[Json]:
        """Yield the runs of a trace, its root among them."""
        cursor = None
        while True:
            wanted = {self._query.trace: root.get("trace_id") or root["id"]}
            runs, following = self._runs(project, wanted, moment(root.get("start_time")), cursor, _MOST_RUNS)
            yield from runs
            if following is None or following == cursor:
                return
            cursor = following

    def _runs(
        self, project: Project, wanted: Json, since: datetime | None, cursor: str | None, size: int
    ) -> tuple[list[Json], str | None]:
        query = self._query
        body: dict[str, Any] = {
            **wanted,
            query.project: [project.id],
            query.since: (since or _BEGINNING).isoformat(),
            query.size: size,
            query.select: query.fields,
        }
        if cursor is not None:
            body["cursor"] = cursor
        try:
            answer = self._remote.ask("POST", query.path, body=body)
        except PlatformError as exc:
            if query is _OLDER or exc.status_code not in (404, 405, 501):
                raise
            self._query = _OLDER
            return self._runs(project, wanted, since, cursor, size)
        following = answer.get("next_cursor") or (answer.get("cursors") or {}).get("next")
        return answer.get(query.runs) or [], following

    def _trace(self, project: Project, root: Json, runs: list[Json]) -> Trace:
        spans = sorted((self._span(run) for run in runs), key=lambda span: span.started_at)
        extra = root.get("extra") or {}
        return Trace(
            id=str(root.get("trace_id") or root["id"]),
            name=str(root.get("name") or root["id"]),
            created_at=_started(root),
            input=alone(root.get("inputs")),
            output=alone(root.get("outputs")),
            error=_error(root),
            metadata={
                **(extra.get("metadata") or {}),
                "source": "langsmith",
                "project": project.name,
                **({"tags": root["tags"]} if root.get("tags") else {}),
            },
            scores=_scores(root.get("feedback_stats") or {}),
            spans=spans,
        )

    def _span(self, run: Json) -> Span:
        kind = _KINDS.get(str(run.get("run_type")).lower(), SpanKind.CHAIN)
        exchange = exchange_of(kind, run.get("inputs"), run.get("outputs"))
        extra = run.get("extra") or {}
        said, asked = extra.get("metadata") or {}, extra.get("invocation_params") or {}
        model = said.get("ls_model_name") or asked.get("model") or asked.get("model_name") or exchange.model
        details = run.get("prompt_token_details") or {}
        details = details.get("raw") or details
        usage = Usage(
            input_tokens=run.get("prompt_tokens"),
            output_tokens=run.get("completion_tokens"),
            cache_read_tokens=details.get("cache_read"),
            cache_write_tokens=details.get("cache_creation"),
        )
        started, ended = _started(run), moment(run.get("end_time"))
        cost = run.get("total_cost")
        model = str(model) if model else None
        is_call = kind is SpanKind.LLM
        return Span(
            id=str(run["id"]),
            parent_id=_parent(run),
            name=str(run.get("name") or run["id"]),
            kind=kind,
            provider=said.get("ls_provider") if is_call else None,
            model=model if is_call else None,
            input=exchange.input,
            output=exchange.output,
            # Of any other run it is the sum of the calls below it.
            usage=usage if is_call else Usage(),
            cost_usd=(float(cost) if cost else cost_of(self._price, model, usage)) if is_call else None,
            started_at=started,
            latency_ms=max(0.0, (ended - started).total_seconds() * 1000) if ended else None,
            error=_error(run),
            metadata={"request": asked} if asked else {},
        )


def _started(run: Json) -> datetime:
    started = moment(run.get("start_time"))
    if started is None:
        raise ValueError(f"run {run.get('id')} has no start_time")
    return started


def _parent(run: Json) -> str | None:
    # Each part of the order is a time, Z and a run's id; the part before the last is its parent's.
    order = str(run.get("dotted_order") or "").split(".")
    above = [part.rpartition("Z")[2] for part in order if "Z" in part][:-1]
    if above:
        return above[-1]
    parents = run.get("parent_run_ids") or [run.get("parent_run_id")]
    return None if parents[-1] is None else str(parents[-1])


def _error(run: Json) -> str | None:
    error = run.get("error")
    return one_line(str(error)) if error else None


def _scores(stats: Json) -> list[Score]:
    means = {name: (given or {}).get("avg") for name, given in stats.items()}
    return [
        Score(name=name, value=float(mean), source=ScoreSource.SDK)
        for name, mean in means.items()
        if isinstance(mean, int | float) and 0 <= mean <= 1
    ]


class Braintrust:
    """Braintrust's API.

    Args:
        connection: Where it is and who asks.
    """

    def __init__(self, connection: Connection) -> None:
        self._remote = Remote("braintrust", connection)
        self._price = connection.price

    def check(self) -> Checked:
        """See whether it is there and lets us in."""
        self._remote.ask("GET", _PROJECTS, params={"limit": 1})
        return Checked()

    def project(self, name: str) -> Project | None:
        """Find a project by its name, else by its id."""
        found = self._remote.ask("GET", _PROJECTS, params={"project_name": name})["objects"]
        if not found:
            if not _UUID.fullmatch(name):
                return None
            found = self._remote.ask("GET", _PROJECTS, params={"ids": name})["objects"]
        return Project(str(found[0]["id"]), str(found[0]["name"])) if found else None

    def projects(self) -> list[Project]:
        """Return the projects."""
        found = self._remote.ask("GET", _PROJECTS, params={"limit": _MOST_PROJECTS})["objects"]
        return [Project(str(item["id"]), str(item["name"])) for item in found]

    def page(self, project: Project, *, since: datetime | None, cursor: str | None, size: int) -> Page:
        """Fetch traces of a project, the last written first."""
        body = {"limit": size, **({} if cursor is None else {"cursor": cursor})}
        path = f"/v1/project_logs/{quote(project.id, safe='')}/fetch"
        answer = self._remote.ask("POST", path, body=body)
        traces, left_out = self._traces(project, answer.get("events") or ())
        recent = [trace for trace in traces if since is None or trace.created_at >= since]
        # Nothing can be asked for by its time here, so the pages end with one that is old throughout.
        old = bool(traces) and not recent
        return Page(recent, None if old else answer.get("cursor") or None, left_out)

    def traces(self, project: Project, ids: Iterable[str]) -> list[Trace]:
        """Fetch traces by the ids of their root spans or by their ``metadata.correlationId``."""
        # What could be more than an id in a query is none.
        wanted = ", ".join(f"'{given}'" for given in ids if _ID.fullmatch(given))
        if not wanted or not _ID.fullmatch(project.id):
            return []
        query = (
            f"SELECT * FROM project_logs('{project.id}', shape => 'traces') "
            f"WHERE root_span_id IN ({wanted}) OR metadata.correlationId IN ({wanted}) LIMIT {_MOST_TRACES}"
        )
        answer = self._remote.ask("POST", "/btql", body={"query": query, "fmt": "json"})
        return self._traces(project, answer.get("data") or ())[0]

    def close(self) -> None:
        """Close the connections."""
        self._remote.close()

    def _traces(self, project: Project, events: Iterable[Json]) -> tuple[list[Trace], list[str]]:
        """Make traces of rows, each of which is a span; of one that comes twice, the newer version counts."""
        groups: dict[str, dict[str, Json]] = {}
        for event in events:
            spans = groups.setdefault(str(event.get("root_span_id") or event["id"]), {})
            known = spans.get(str(event["id"]))
            if known is None or str(known.get("_xact_id") or "") < str(event.get("_xact_id") or ""):
                spans[str(event["id"])] = event
        traces, left_out = [], []
        for root_id, spans in groups.items():
            try:
                traces.append(self._trace(project, root_id, list(spans.values())))
            except (LookupError, ValueError, TypeError, AttributeError) as exc:
                left_out.append(f"{root_id}: {type(exc).__name__}: {exc}")
        return traces, left_out

    def _trace(self, project: Project, root_id: str, events: list[Json]) -> Trace:
        root = next((event for event in events if not event.get("span_parents")), events[0])
        part = KalmiaTrace.model_validate(
            {
                "id": root_id,
                "project_id": project.name,
                "created": root.get("created"),
                "input": root.get("input"),
                "output": root.get("output"),
                "metadata": {**(root.get("metadata") or {}), "source": "braintrust", "project": project.name},
                "spans": [_span_of_row(event) for event in events],
            }
        )
        made = arrived(None, part, moment(root.get("created")) or datetime.now(UTC))
        for span in made.spans:
            if span.kind is SpanKind.LLM:
                span.cost_usd = cost_of(self._price, span.model, span.usage)
        return made.model_copy(update={"reference": root.get("expected")})


def _span_of_row(event: Json) -> dict[str, Any]:
    """Return a row as a span: under the id that its children name, which is not the row's."""
    span_id = str(event.get("span_id") or event["id"])
    kept = {key: value for key, value in event.items() if not key.startswith("_") and value is not None}
    return {**kept, "id": span_id, "span_id": span_id}
