"""Modules that are met when they are imported later."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class ImportWatch(MetaPathFinder):
    """Calls back for modules as soon as they have been imported; imports none itself.

    Args:
        names: The modules' names.
        on_import: What is called with each, once it has run.
    """

    def __init__(self, names: Collection[str], on_import: Callable[[ModuleType], None]) -> None:
        self._names = frozenset(names)
        self._on_import = on_import

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Let the other finders find a watched module, and have its loader tell us."""
        if fullname not in self._names:
            return None
        for finder in [finder for finder in sys.meta_path if finder is not self]:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                self._watch(spec)
                return spec
        return None

    def _watch(self, spec: ModuleSpec) -> None:
        loader = spec.loader
        execute = getattr(loader, "exec_module", None)
        if loader is None or execute is None:
            return

        def exec_module(module: ModuleType) -> None:
            # The loader is as before from here on; some are shared between modules.
            vars(loader).pop("exec_module", None)
            execute(module)
            self._on_import(module)

        vars(loader)["exec_module"] = exec_module
