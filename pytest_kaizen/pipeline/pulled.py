"""Prompts that are kept at a platform: fetched before the first test, pinned ones where that fails."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import closing
from typing import Protocol, cast

from ..config import Config
from ..errors import ConfigError, PlatformError
from ..models import PromptVersion
from ..platforms.exchange import single_attempt
from ..prompts import PromptLibrary

#: Seconds for one call.
_TIMEOUT_S = 10.0
_NOT_FOUND = 404
#: By the names that ``prompts: {from: …}`` takes: modules with ``open_prompts(config, env, timeout_s)``.
_PLACES = {"kaizen-ct": ".prompts_at.kaizen_ct", "kayba": ".prompts_at.kayba"}


class Prompts(Protocol):
    """The prompts that a platform keeps.

    Attributes:
        title: The platform's name, for messages.
    """

    title: str

    def get(self, task: str) -> PromptVersion | None:
        """Return the version that a task is to run; None when it has no text.

        Raises:
            PlatformError: The platform has none (404), cannot be reached, or refused.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def pull_prompts(config: Config, library: PromptLibrary, env: Mapping[str, str]) -> list[str]:
    """Let each task run the version that a platform says.

    Asked for are the tasks of ``kaizen.yaml`` and those that have prompts here; a version that the
    user asks for (``--kaizen-prompt-version``) stays. Where the platform cannot be reached, or has no
    prompt of a task, the task runs the text that ``kaizen.lock`` pins.

    Returns:
        Warnings: what runs a pinned text, and why.

    Raises:
        ConfigError: There is no key; or the platform cannot be reached, and nothing is pinned.
    """
    place = config.prompt_source
    tasks = sorted({*config.tasks, *library.tasks()} - {*config.prompt_versions})
    try:
        module = importlib.import_module(_PLACES[place], __package__)
        there = cast(Prompts, module.open_prompts(config, env, _TIMEOUT_S))
    except PlatformError as exc:
        raise ConfigError(f"prompts: from {place}: {exc.message}") from None
    warnings: list[str] = []
    broken: PlatformError | None = None
    with closing(there), single_attempt():
        for task in tasks:
            version, error = None, broken
            # A server that failed once is not asked again.
            if error is None:
                try:
                    version = there.get(task)
                except PlatformError as exc:
                    error = exc
                    broken = None if _is_missing(exc) else exc
            if error is not None:
                warnings += _pinned(library, task, error, place, there.title)
            elif version is not None:
                library.supply(version, place)
    return warnings


def _is_missing(error: PlatformError) -> bool:
    return error.status_code == _NOT_FOUND


def _pinned(library: PromptLibrary, task: str, error: PlatformError, place: str, title: str) -> list[str]:
    if task in library.lock.active:
        pinned = library.get(task).version
        return [f"prompt '{task}': version {pinned} as kaizen.lock pins it, not {title}'s: {error.message}"]
    if _is_missing(error):
        # A task without any prompt, perhaps; a test that asks for one is told so.
        return []
    raise ConfigError(
        f"prompts: from {place}: {error.message}; nothing is pinned for '{task}' that could run instead: "
        f"write its prompt and pin it with `kaizen prompts lock`"
    )
