"""Which SQLite this Python has."""

from __future__ import annotations

import sqlite3

VERSION = sqlite3.sqlite_version
#: From here on, several connections cannot corrupt a database in write-ahead-logging mode.
SAFE_VERSION = "3.51.3"


def is_safe() -> bool:
    """Whether this SQLite is ``SAFE_VERSION`` or newer."""
    return sqlite3.sqlite_version_info >= tuple(map(int, SAFE_VERSION.split(".")))
