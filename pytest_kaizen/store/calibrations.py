"""Calibrations of judges, which are only ever added."""

from __future__ import annotations

from ..models import Calibration
from .database import Connection
from .table import Table, key

_CALIBRATIONS = Table(
    "calibrations",
    Calibration,
    columns=("rubric", "rubric_sha256", "model", "votes", "created_at"),
)
ALL = f"SELECT {_CALIBRATIONS.fields} FROM calibrations ORDER BY number DESC"
OF_RUBRIC = f"SELECT {_CALIBRATIONS.fields} FROM calibrations WHERE rubric = ? ORDER BY number DESC"


def add(connection: Connection, calibration: Calibration) -> None:
    """Store a calibration."""
    connection.execute(_CALIBRATIONS.insert, _CALIBRATIONS.row(calibration))


def newest(connection: Connection, rubric: str | None) -> list[Calibration]:
    """Return the calibrations for rubrics of a name or for all, the newest first."""
    cursor = connection.execute(ALL) if rubric is None else connection.execute(OF_RUBRIC, (key(rubric),))
    return [_CALIBRATIONS.read(row) for row in cursor.fetchall()]
