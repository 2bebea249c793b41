from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from psycopg_pool import PoolTimeout

from pytest_kaizen.store.postgres import problems


@pytest.mark.parametrize(
    ("exc", "passes"),
    [
        (psycopg.OperationalError("the connection was lost"), True),
        (PoolTimeout("none became free"), True),
        (errors.AdminShutdown("restart"), True),
        (errors.DeadlockDetected("two of them"), True),
        (errors.DiskFull("full"), True),
        (errors.LockNotAvailable("another writes"), True),
        (errors.TooManyConnections("many"), True),
        (errors.InvalidPassword("wrong"), False),
        (errors.ProgramLimitExceeded("a row too large"), False),
        (errors.UndefinedTable("none"), False),
        (psycopg.InterfaceError("the cursor is closed"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_may_pass(exc: psycopg.Error, passes: bool) -> None:
    assert problems.from_postgres(exc, "there").transient is passes
    assert problems.no_connection("there", exc).transient is passes
