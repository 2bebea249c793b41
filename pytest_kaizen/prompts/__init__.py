"""Prompt files, their versions and the lock.

The names are resolved when they are first used (PEP 562): only commands write prompts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .authoring import activate_version, lock_versions, new_version
    from .library import PromptLibrary
    from .lock import Lock
    from .prompt import Prompt
else:

    def __getattr__(name):
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
        return found


_HOME = {
    "Lock": "lock",
    "Prompt": "prompt",
    "PromptLibrary": "library",
    "activate_version": "authoring",
    "lock_versions": "authoring",
    "new_version": "authoring",
}

__all__ = ["Lock", "Prompt", "PromptLibrary", "activate_version", "lock_versions", "new_version"]
