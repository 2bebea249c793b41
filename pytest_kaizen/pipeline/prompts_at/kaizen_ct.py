"""Prompts at Kaizen CT: the active version of each task."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from uuid import UUID

from ...config import Config
from ...errors import CTNotFoundError
from ...models import PromptVersion
from ...platforms.kaizen_ct.client import CTClient
from ..upload import key_from


class KaizenCTPrompts:
    """The active versions.

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


def open_prompts(config: Config, env: Mapping[str, str], timeout_s: float) -> KaizenCTPrompts:
    """Make it from ``backends.kaizen-ct``.

    Raises:
        PlatformError: There is no key, or the URL cannot be right.
    """
    settings = config.backends.kaizen_ct
    key = key_from(env, settings.key_env)
    client = CTClient(key, settings.url or env.get(CTClient.url_variable), timeout=timeout_s)
    return KaizenCTPrompts(client, settings.tasks)
