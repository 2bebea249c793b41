"""The store: what was captured, scored and decided, in one SQLite file."""

from .store import Store

__all__ = ["Store"]
