"""Importing this package's modules without pytest's assertion rewriter. PYTEST_DONT_REWRITE."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_INSIDE = __name__.partition(".")[0] + "."


class PlainImports:
    """Finds this package's modules before pytest's assertion rewriter does.

    pytest rewrites the assertions of a plugin's whole distribution, which takes seconds where
    bytecode is not kept; this package's modules have no assertions that need it.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of this package; leave every other one to the finders behind."""
        if not fullname.startswith(_INSIDE):
            return None
        return PathFinder.find_spec(fullname, path, target)


@contextmanager
def plain_imports() -> Iterator[None]:
    """Import plainly for the length of the block."""
    finder = PlainImports()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
