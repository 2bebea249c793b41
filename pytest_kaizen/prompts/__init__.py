"""Prompt files, their versions and the lock.

The names are resolved when they are first used (PEP 562): only commands write prompts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..late import Late

if TYPE_CHECKING:
    from .authoring import activate_version, lock_versions, new_version
    from .files import Prompt
    from .library import Lock, PromptLibrary
else:
    __getattr__ = Late(
        __name__,
        {
            "Lock": "library",
            "Prompt": "files",
            "PromptLibrary": "library",
            "activate_version": "authoring",
            "lock_versions": "authoring",
            "new_version": "authoring",
        },
    )

__all__ = ["Lock", "Prompt", "PromptLibrary", "activate_version", "lock_versions", "new_version"]
