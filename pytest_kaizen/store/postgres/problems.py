"""What can go wrong with a PostgreSQL server, said with place and cure."""

from __future__ import annotations

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolTimeout

from ...errors import StoreError

_FULL = (errors.DiskFull, errors.OutOfMemory)
#: Classes of SQLSTATE: connection, rollback, resources, locks, an operator's intervention, the system.
_PASSING = frozenset({"08", "40", "53", "55", "57", "58"})


def place(url: str) -> str:
    """Name a server and database without what is secret in their URL.

    Raises:
        StoreError: It is no such URL.
    """
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        # Not the error's own text, nor the URL: either may hold the password.
        raise StoreError(
            "the URL of the PostgreSQL server cannot be understood; "
            "give postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters as %XX"
        ) from None
    host, port = parts.get("host") or "localhost", parts.get("port")
    return f"postgresql://{host}{f':{port}' if port else ''}/{parts.get('dbname') or ''}"


def no_connection(where: str, exc: psycopg.Error) -> StoreError:
    """The server cannot be reached or refuses."""
    return StoreError(
        f"cannot connect: {_sentence(exc)}; look whether the server runs and the URL is right",
        path=where,
        transient=_may_pass(exc),
    )


def too_old(where: str, version: int, oldest: int) -> StoreError:
    """The server lacks what the store needs."""
    return StoreError(
        f"is PostgreSQL {version // 10_000}; the store needs {oldest // 10_000} or newer", path=where
    )


def not_unicode(where: str, encoding: str) -> StoreError:
    """The database cannot hold all text."""
    return StoreError(
        f"the database has the encoding {encoding}; make one with `CREATE DATABASE … ENCODING 'UTF8' "
        "TEMPLATE template0`",
        path=where,
    )


def missing(where: str) -> StoreError:
    """There is no store yet, and one is needed for reading."""
    return StoreError("there is no store here yet; it is made by the first that writes", path=where)


def foreign(where: str) -> StoreError:
    """The schema is another program's."""
    return StoreError("the schema belongs to another program; choose another database", path=where)


def newer(where: str, found: int, known: int) -> StoreError:
    """A newer release has written the schema."""
    return StoreError(
        f"has store version {found}, and this pytest-kaizen knows versions up to {known}; "
        "upgrade pytest-kaizen",
        path=where,
    )


def from_postgres(exc: psycopg.Error, where: str) -> StoreError:
    """Say what an error of PostgreSQL means to the user."""
    if isinstance(exc, _FULL):
        message = (
            "the server's disk or memory is full: this step was not stored, everything stored before is "
            "intact; free some space there"
        )
    elif isinstance(exc, errors.LockNotAvailable):
        message = "another process has been writing for too long; wait until it has ended"
    elif isinstance(exc, PoolTimeout):
        message = "no connection became free in time; allow more of them, or send fewer requests at once"
    elif isinstance(exc, errors.InsufficientPrivilege):
        message = f"not allowed: {_sentence(exc)}; grant it to the user of the URL"
    else:
        message = f"the database failed: {_sentence(exc)}"
    return StoreError(message, path=where, transient=_may_pass(exc))


def _may_pass(exc: psycopg.Error) -> bool:
    """Whether it is of what surrounds the database: locks, connections, disk, a server that starts anew."""
    if not isinstance(exc, psycopg.OperationalError):
        return False
    return exc.sqlstate is None or exc.sqlstate[:2] in _PASSING


def _sentence(exc: psycopg.Error) -> str:
    return exc.diag.message_primary or " ".join(str(exc).split())
