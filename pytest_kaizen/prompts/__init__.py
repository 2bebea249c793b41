"""Prompts as versioned files: read, render, write a new one, activate and lock."""

from .authoring import activate_version, lock_versions, new_version
from .library import PromptLibrary
from .lock import Lock
from .prompt import Prompt

__all__ = ["Lock", "Prompt", "PromptLibrary", "activate_version", "lock_versions", "new_version"]
