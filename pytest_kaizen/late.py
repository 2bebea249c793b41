"""Names of a package that are resolved when they are first used (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any


class Late:
    """The ``__getattr__`` of a package whose modules are loaded when something of them is used.

    Args:
        package: Its ``__name__``.
        homes: By name, the module of the package that has it.
    """

    def __init__(self, package: str, homes: Mapping[str, str]) -> None:
        self._package = package
        self.homes = homes

    def __call__(self, name: str) -> Any:
        """Load what has a name, and return it."""
        if name not in self.homes:
            raise AttributeError(f"module {self._package!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(f".{self.homes[name]}", self._package), name)
        # From now on, the name is found without coming here.
        setattr(sys.modules[self._package], name, found)
        return found
