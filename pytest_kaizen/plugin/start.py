"""``--kaizen`` was given: load the rest of the package and register the session."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

import pytest

_PACKAGE = __name__.partition(".")[0]


class PlainImports:
    """Finds this package's modules before pytest's assertion rewriter does.

    pytest rewrites the assertions of a plugin's whole distribution, which takes seconds where
    bytecode is not kept; this package's modules have no assertions that need it.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of this package; leave every other one to the finders behind."""
        if not fullname.startswith(f"{_PACKAGE}."):
            return None
        return PathFinder.find_spec(fullname, path, target)


def start(config: pytest.Config) -> None:
    """Load and register the session.

    Raises:
        pytest.UsageError: The configuration is wrong.
    """
    finder = PlainImports()
    sys.meta_path.insert(0, finder)
    config.add_cleanup(lambda: sys.meta_path.remove(finder))

    from .session import open_session

    open_session(config)
