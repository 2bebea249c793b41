"""Braintrust: the logs of a project over its REST API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from ...capture.build import cost_of
from ...models import SpanKind, Trace
from ...platforms.kalmia.arrived import arrived
from ...platforms.kalmia.trace_wire import KalmiaTrace
from .remote import Remote
from .source import Checked, Connection, Page, Project, moment

_PROJECTS = "/v1/project"
_MOST_PROJECTS = 1000
#: That one query returns.
_MOST_TRACES = 1000
_ID = re.compile(r"[\w.:-]{1,200}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

Json = Mapping[str, Any]


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
                "spans": [_span(event) for event in events],
            }
        )
        made = arrived(None, part, moment(root.get("created")) or datetime.now(UTC))
        for span in made.spans:
            if span.kind is SpanKind.LLM:
                span.cost_usd = cost_of(self._price, span.model, span.usage)
        return made.model_copy(update={"reference": root.get("expected")})


def _span(event: Json) -> dict[str, Any]:
    """Return a row as a span: under the id that its children name, which is not the row's."""
    span_id = str(event.get("span_id") or event["id"])
    kept = {key: value for key, value in event.items() if not key.startswith("_") and value is not None}
    return {**kept, "id": span_id, "span_id": span_id}
