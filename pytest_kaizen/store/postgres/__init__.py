"""A database in a schema of a PostgreSQL server. Needs psycopg, from the extra ``server``."""

from .database import PostgresDatabase
from .pool import PostgresPool

__all__ = ["PostgresDatabase", "PostgresPool"]
