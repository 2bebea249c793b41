"""Where a store is: a file, or a database on a PostgreSQL server."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


def local_path(where: Path | str) -> Path | None:
    """Return the path that is meant, None when it is a PostgreSQL server's URL.

    Args:
        where: A path, ``sqlite:///`` with a path behind it (``sqlite:////var/kaizen`` is absolute), or
            ``postgresql://user:password@host/database``.

    Raises:
        ConfigError: It is the URL of something else.
    """
    if isinstance(where, Path):
        return where
    if where.startswith(_POSTGRES):
        return None
    if where.startswith(_SQLITE) and len(where) > len(_SQLITE):
        return Path(where.removeprefix(_SQLITE))
    if "://" in where or not where:
        # Its beginning alone: a password may follow.
        scheme = where.partition("://")[0]
        raise ConfigError(
            f"no store there: the URL begins with {scheme!r}; give sqlite:///PATH or "
            "postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return Path(where)
