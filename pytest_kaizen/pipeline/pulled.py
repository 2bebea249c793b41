"""Prompts that are kept at Kaizen CT: fetched before the first test, pinned ones where that fails."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from uuid import UUID

from ..config import Config
from ..errors import ConfigError, CTError, CTNotFoundError
from ..models import PromptVersion
from ..platforms.base.retry import single_attempt
from ..platforms.kaizen_ct.client import CTClient
from ..prompts import PromptLibrary

#: Seconds for one call.
_TIMEOUT_S = 10.0


def pull_prompts(config: Config, library: PromptLibrary, env: Mapping[str, str]) -> list[str]:
    """Let each task run the version that is active at Kaizen CT.

    Asked for are the tasks of ``kaizen.yaml`` and those that have prompts here; a version that the
    user asks for (``--kaizen-prompt-version``) stays. Where Kaizen CT cannot be reached, or has no
    active prompt of a task, the task runs the text that ``kaizen.lock`` pins.

    Returns:
        Warnings: what runs a pinned text, and why.

    Raises:
        ConfigError: There is no key; or Kaizen CT cannot be reached, and nothing is pinned.
    """
    settings = config.backends.kaizen_ct
    tasks = sorted({*config.tasks, *library.tasks()} - {*config.prompt_versions})
    key = env.get(settings.key_env, "").strip()
    if not key:
        raise ConfigError(f"prompts: from kaizen-ct: no key: set {settings.key_env} in the environment")
    try:
        client = CTClient(key, settings.url or env.get(CTClient.url_variable), timeout=_TIMEOUT_S)
    except CTError as exc:
        raise ConfigError(f"prompts: from kaizen-ct: {exc.message}") from None
    with client, single_attempt():
        there = _Prompts(client, settings.tasks)
        warnings: list[str] = []
        for task in tasks:
            try:
                version = there.get(task)
            except CTError as exc:
                warnings += _pinned(library, task, exc)
            else:
                if version is not None:
                    library.supply(version, "kaizen-ct")
    return warnings


class _Prompts:
    """The prompts at Kaizen CT; a server that failed once is not asked again.

    Args:
        client: The client.
        names: The platform's ids or names of tasks, by ours.
    """

    def __init__(self, client: CTClient, names: Mapping[str, str]) -> None:
        self._client = client
        self._names = names
        self._broken: CTError | None = None

    def get(self, task: str) -> PromptVersion | None:
        """Return the active version of a task.

        Raises:
            CTNotFoundError: There is no such task, or no active prompt.
            CTError: The server cannot be reached, or refused.
        """
        if self._broken is not None:
            raise self._broken
        try:
            return self._client.get_prompt(self._id(task)).to_version(task)
        except CTNotFoundError:
            raise
        except CTError as exc:
            self._broken = exc
            raise

    def _id(self, task: str) -> str:
        name = self._names.get(task, task)
        try:
            return str(UUID(name))
        except ValueError:
            pass
        if name not in self._ids:
            raise CTNotFoundError(f"Kaizen CT has no task '{name}'", 404)
        return self._ids[name]

    @cached_property
    def _ids(self) -> dict[str, str]:
        return {task.name: str(task.id) for task in self._client.list_tasks()}


def _pinned(library: PromptLibrary, task: str, error: CTError) -> list[str]:
    if task in library.lock.active:
        pinned = library.get(task).version
        return [f"prompt '{task}': version {pinned} as kaizen.lock pins it, not Kaizen CT's: {error.message}"]
    if isinstance(error, CTNotFoundError):
        # A task without any prompt, perhaps; a test that asks for one is told so.
        return []
    raise ConfigError(
        f"prompts: from kaizen-ct: {error.message}; nothing is pinned for '{task}' that could run instead: "
        f"write its prompt and pin it with `kaizen prompts lock`"
    )
