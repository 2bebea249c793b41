"""The first files of a project: configuration, prompts, rubric, test, CI workflow."""

from .files import Starter, starter_files
from .found import FoundPrompt, find_prompts

__all__ = ["FoundPrompt", "Starter", "find_prompts", "starter_files"]
