"""Rows of tables: how a model lies in one, and which one a person means who types the beginning of its id."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, from_json, to_json

from ..errors import StoreError
from .database import Connection

ModelT = TypeVar("ModelT", bound=BaseModel)
Row = tuple[Any, ...]

_DEEPEST = 100
#: What SQLite takes as it is. It asks its adapters about any other type, which costs more than storing it.
_STORABLE = frozenset({int, float, type(None)})

_SHOWN = 5
_LAST_CHARACTER = "\U0010ffff"
#: What ``last`` is the last one of: what a program recorded outside pytest is no session, and what an
#: optimisation made is no result of anybody's program.
_COUNTS = {"runs": "WHERE kind = 'tests' ", "traces": "WHERE job_id IS NULL "}


class Table(Generic[ModelT]):
    """The mapping between one model and one table.

    A fact stands in one place only: a field is a column, or in another table, or in the JSON
    column, which takes every field that is neither. A field that a model gains later
    needs no migration.

    Args:
        name: The table.
        model: What a row stands for.
        keys: Columns that are no fields of the model (its owner, its position).
        columns: Fields with a column of their own.
        elsewhere: Fields that lie in other tables.
        data: The name of the JSON column.
    """

    def __init__(
        self,
        name: str,
        model: type[ModelT],
        *,
        keys: tuple[str, ...] = (),
        columns: tuple[str, ...],
        elsewhere: Collection[str] = (),
        data: str = "data",
    ) -> None:
        self.name = name
        self._model = model
        self._columns = columns
        self._rest = tuple(field for field in model.model_fields if field not in {*columns, *elsewhere})
        self.columns = (*columns, data)
        names = (*keys, *self.columns)
        self.insert = f"INSERT INTO {name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        changing = (column for column in self.columns if column != "id")
        self.update = f"UPDATE {name} SET " + ", ".join(f"{column} = ?" for column in changing)
        self.fields = ", ".join(f"{name}.{column}" for column in self.columns)

    def row(self, item: ModelT) -> Row:
        """Turn an item into the values of ``columns``."""
        fields = vars(item)
        values = [
            value
            if (kind := value.__class__) in _STORABLE or (kind is str and value.isascii())
            else _column(value)
            for value in map(fields.__getitem__, self._columns)
        ]
        values.append(storable_json({field: fields[field] for field in self._rest}))
        return tuple(values)

    def changes(self, item: ModelT) -> Row:
        """Turn an item into the values of ``update``: all but its id, the first of ``columns``.

        An id stays what it is, and to write it again would write the indexes on it again.
        """
        return self.row(item)[1:]

    def read(self, row: Row, **elsewhere: Any) -> ModelT:
        """Turn the values of ``fields`` back into an item.

        Args:
            row: The values, in the order of ``fields``.
            elsewhere: The fields that lie in other tables.

        Raises:
            ValueError: The row does not make an item.
        """
        values: dict[str, Any] = load_json(row[-1])
        values.update(zip(self._columns, row, strict=False))
        values.update(elsewhere)
        return self._model.model_validate(values)

    def insert_all(self, connection: Connection, items: Collection[ModelT], *owner: Any) -> None:
        """Store items in their order; the keys are the owner's and the position."""
        if items:
            rows = [(*owner, position, *self.row(item)) for position, item in enumerate(items)]
            connection.executemany(self.insert, rows)


def load_json(text: str) -> Any:
    """Read what ``storable_json`` wrote."""
    try:
        return from_json(text)
    except ValueError:
        # It refuses text nested deeper than pydantic's writer writes, and is thrice as fast.
        return json.loads(text)


def key(text: str) -> str:
    """Make text storable: half a surrogate pair, which UTF-8 does not have, becomes U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def utc_text(moment: datetime) -> str:
    """Write a time so that the order of texts is the order of times.

    A time with a zone is written in UTC; one without is taken for UTC and written without.
    """
    if moment.tzinfo is not None and moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")


def _column(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, str):
        return key(str(value))
    return int(value) if isinstance(value, bool) else value


def storable_json(values: Any) -> str:
    """Write JSON; what it cannot say is replaced by the nearest that it can."""
    try:
        return to_json(values, inf_nan_mode="constants", fallback=_name_type).decode()
    except PydanticSerializationError:
        # Lone surrogates, bytes that are no text, a cycle: a trace is worth more than its oddest value.
        return to_json(_plain(values, ()), inf_nan_mode="constants", fallback=_name_type).decode()


def _plain(value: Any, around: tuple[int, ...]) -> Any:
    """Copy a value with only what JSON in UTF-8 can say; ``around`` are the ids of its containers."""
    if isinstance(value, str):
        return key(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, dict | list | tuple | set | frozenset):
        if id(value) in around or len(around) > _DEEPEST:
            return "<nested too deep>"
        inside = (*around, id(value))
        if isinstance(value, dict):
            return {_plain_key(name): _plain(item, inside) for name, item in value.items()}
        return [_plain(item, inside) for item in value]
    return value


def _plain_key(name: Any) -> Any:
    if isinstance(name, str):
        return key(name)
    return name if name is None or isinstance(name, int | float) else _name_type(name)


def _name_type(value: Any) -> str:
    # Its type alone: the text of an unknown object may hold what was to stay secret.
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def newest_query(table: str) -> str:
    """Make the query for the newest ids, of those that count; its parameter is a limit."""
    which = _COUNTS.get(table, "")
    return f"SELECT number, id FROM {table} {which}ORDER BY created_at DESC, number DESC LIMIT ?"


def beginning_query(table: str) -> str:
    """Make the query for ids from one on and below another; its parameters are these and a limit."""
    return f"SELECT number, id FROM {table} WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"


def find_number(connection: Connection, path: Path | str, table: str, given: str) -> int:
    """Return the number of the row that is meant.

    Args:
        connection: The database.
        path: Where it is, for messages.
        table: ``runs`` or ``traces``.
        given: An id, an unambiguous beginning of one, or ``last`` for the newest.

    Raises:
        StoreError: Nothing or more than one thing is meant; says what there is.
    """
    newest = newest_query(table)
    if given == "last":
        found = connection.execute(newest, (1,)).fetchall()
    else:
        found = connection.execute(f"SELECT number, id FROM {table} WHERE id = ?", (key(given),)).fetchall()
        if not found and given:
            found = connection.execute(
                beginning_query(table), (key(given), key(given) + _LAST_CHARACTER, _SHOWN + 1)
            ).fetchall()
    if len(found) == 1:
        number: int = found[0][0]
        return number
    what = table.removesuffix("s")
    if found:
        raise StoreError(f"{what} {given!r} is ambiguous: {_ids(found)}; give more of the id", path=path)
    there = connection.execute(newest, (_SHOWN + 1,)).fetchall()
    if not there:
        raise StoreError(f"no {what} {given!r}; the store holds no {table} yet", path=path)
    raise StoreError(f"no {what} {given!r}; the newest are {_ids(there)}", path=path)


def _ids(rows: list[tuple[int, str]]) -> str:
    return ", ".join(row[1] for row in rows[:_SHOWN]) + (", …" if len(rows) > _SHOWN else "")
