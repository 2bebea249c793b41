"""Behaviours, and the traces that are said to show them."""

from __future__ import annotations

from collections.abc import Iterable

from ..models import Annotation, Behavior
from .database import Database
from .table import Table, key
from .traces import number_of

BEHAVIORS = Table("behaviors", Behavior, columns=("id", "label"))
ANNOTATIONS = Table(
    "annotations", Annotation, keys=("trace",), columns=("id", "label"), elsewhere=("trace_id",)
)
NEWEST_BEHAVIORS = f"SELECT {BEHAVIORS.fields} FROM behaviors ORDER BY number DESC"
PUT = f"{ANNOTATIONS.insert} ON CONFLICT (id) DO UPDATE SET data = excluded.data"
_FILTERS = {"trace_id": "traces.id = ?", "label": "annotations.label = ?"}


class Annotations:
    """The tables of behaviours and annotations.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_behavior(self, behavior: Behavior) -> bool:
        """Store a new behaviour; return False, and leave all as it is, when its label is taken."""
        with self._database.write() as connection:
            added = connection.execute(f"{BEHAVIORS.insert} ON CONFLICT DO NOTHING", BEHAVIORS.row(behavior))
            return added.rowcount > 0

    def behaviors(self) -> list[Behavior]:
        """Return all behaviours, the newest first."""
        with self._database.read() as connection:
            return [BEHAVIORS.read(row) for row in connection.execute(NEWEST_BEHAVIORS).fetchall()]

    def add(self, annotation: Annotation) -> bool:
        """Store a new annotation, which goes with its trace; return False when there is no such trace."""
        with self._database.write() as connection:
            trace = number_of(connection, annotation.trace_id)
            if trace is None:
                return False
            connection.execute(ANNOTATIONS.insert, (trace, *ANNOTATIONS.row(annotation)))
            return True

    def put(self, annotations: Iterable[Annotation]) -> list[Annotation]:
        """Store annotations, or what they have become, by their ids; return those whose trace is there."""
        with self._database.write() as connection:
            kept = []
            for annotation in annotations:
                trace = number_of(connection, annotation.trace_id)
                if trace is not None:
                    connection.execute(PUT, (trace, *ANNOTATIONS.row(annotation)))
                    kept.append(annotation)
            return kept

    def newest(self, *, trace_id: str | None = None, label: str | None = None) -> list[Annotation]:
        """Return annotations, the newest first.

        Args:
            trace_id: Of this trace only.
            label: With this label only.
        """
        wanted = {"trace_id": trace_id, "label": label}
        values = {name: key(value) for name, value in wanted.items() if value is not None}
        with self._database.read() as connection:
            rows = connection.execute(newest_query(values), tuple(values.values())).fetchall()
        return [ANNOTATIONS.read(tuple(row[1:]), trace_id=row[0]) for row in rows]


def newest_query(filters: dict[str, str]) -> str:
    """Return the query for annotations of which some fields are given."""
    wheres = " AND ".join(_FILTERS[name] for name in filters) or "TRUE"
    return (
        f"SELECT traces.id, {ANNOTATIONS.fields} FROM annotations JOIN traces ON traces.number = trace "
        f"WHERE {wheres} ORDER BY annotations.number DESC"
    )
