"""A database in a SQLite file."""

from .database import SQLiteDatabase

__all__ = ["SQLiteDatabase"]
