"""Prompts that are kept at a platform: fetched before the first test, pinned ones where that fails.

At Kaizen CT that is the active version of each task. Kayba's prompts belong to no task: whoever
generates one gives it a label, the task's name or what ``backends.kayba.labels`` says in its place,
and the newest one with it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from ..config import Config
from ..errors import ConfigError, CTNotFoundError, KaybaAPIError, PlatformError
from ..models import PromptVersion
from ..platforms.exchange import single_attempt
from ..prompts import PromptLibrary
from .upload import key_from

if TYPE_CHECKING:
    from ..platforms.kaizen_ct.client import CTClient
    from ..platforms.kayba.client import KaybaClient

#: Seconds for one call.
_TIMEOUT_S = 10.0
_NOT_FOUND = 404


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
        there = _PLACES[place](config, env)
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


class KaizenCTPrompts:
    """The active versions of tasks at Kaizen CT.

    Args:
        client: The client.
        names: The platform's ids or names of tasks, by ours.
    """

    title = "Kaizen CT"

    def __init__(self, client: CTClient, names: Mapping[str, str]) -> None:
        self._client = client
        self._names = names

    def get(self, task: str) -> PromptVersion | None:
        """Return the active version of a task; see ``Prompts.get``."""
        return self._client.get_prompt(self._id(task)).to_version(task)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

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


def _at_kaizen_ct(config: Config, env: Mapping[str, str]) -> KaizenCTPrompts:
    """Open them by ``backends.kaizen-ct``.

    Raises:
        PlatformError: There is no key, or the URL cannot be right.
    """
    # Not above: nobody needs more than one platform's client.
    from ..platforms.kaizen_ct.client import CTClient

    settings = config.backends.kaizen_ct
    key = key_from(env, settings.key_env)
    client = CTClient(key, settings.url or env.get(CTClient.url_variable), timeout=_TIMEOUT_S)
    return KaizenCTPrompts(client, settings.tasks)


class KaybaPrompts:
    """The newest prompts with tasks' labels at Kayba.

    Args:
        client: The client.
        labels: The labels of tasks' prompts, where they are not the tasks' names.
    """

    title = "Kayba"

    def __init__(self, client: KaybaClient, labels: Mapping[str, str]) -> None:
        self._client = client
        self._labels = labels

    def get(self, task: str) -> PromptVersion | None:
        """Return the newest version of a task; see ``Prompts.get``."""
        from ..platforms.kayba import Prompt

        label = self._labels.get(task, task)
        if label not in self._newest:
            raise KaybaAPIError("NOT_FOUND", f"Kayba has no prompt with the label '{label}'", 404)
        return Prompt.model_validate(self._client.get_prompt(self._newest[label])).to_version(task)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @cached_property
    def _newest(self) -> dict[str | None, str]:
        # Kayba lists the newest first.
        return {prompt.get("label"): prompt["id"] for prompt in reversed(self._client.list_prompts())}


def _at_kayba(config: Config, env: Mapping[str, str]) -> KaybaPrompts:
    """Open them by ``backends.kayba``.

    Raises:
        PlatformError: There is no key, or the URL cannot be right.
    """
    from ..platforms.kayba.client import KaybaClient

    settings = config.backends.kayba
    key = key_from(env, settings.key_env)
    client = KaybaClient(key, settings.url or env.get(KaybaClient.url_variable), _TIMEOUT_S)
    return KaybaPrompts(client, settings.labels)


#: By the names that ``prompts: {from: …}`` takes.
_PLACES: Mapping[str, Callable[[Config, Mapping[str, str]], Prompts]] = {
    "kaizen-ct": _at_kaizen_ct,
    "kayba": _at_kayba,
}
