"""What is set of the connections to other platforms; their secrets are in ``sealed``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .database import Database
from .table import key


class Integrations:
    """The table of integrations, by their names.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, name: str, settings: Mapping[str, Any]) -> None:
        """Store the settings of an integration in the place of those before; none is a secret."""
        query = (
            "INSERT INTO integrations (name, data) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET data = excluded.data"
        )
        with self._database.write() as connection:
            connection.execute(query, (key(name), json.dumps(dict(settings))))

    def one(self, name: str) -> dict[str, Any]:
        """Return the settings of an integration; none where nothing is set."""
        query = "SELECT data FROM integrations WHERE name = ?"
        with self._database.read() as connection:
            row = connection.execute(query, (key(name),)).fetchone()
        found: dict[str, Any] = {} if row is None else json.loads(row[0])
        return found

    def forget(self, name: str) -> None:
        """Delete the settings of an integration."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM integrations WHERE name = ?", (key(name),))
