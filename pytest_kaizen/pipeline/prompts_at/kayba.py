"""Prompts at Kayba: the newest one with a task's label.

Kayba's prompts belong to no task. Whoever generates one gives it a label: the task's name, or what
``backends.kayba.labels`` says in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from ...config import Config
from ...errors import KaybaAPIError
from ...models import PromptVersion
from ...platforms.kayba import Prompt
from ...platforms.kayba.client import KaybaClient
from ..upload import key_from


class KaybaPrompts:
    """The newest versions.

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


def open_prompts(config: Config, env: Mapping[str, str], timeout_s: float) -> KaybaPrompts:
    """Make it from ``backends.kayba``.

    Raises:
        PlatformError: There is no key, or the URL cannot be right.
    """
    settings = config.backends.kayba
    key = key_from(env, settings.key_env)
    client = KaybaClient(key, settings.url or env.get(KaybaClient.url_variable), timeout_s)
    return KaybaPrompts(client, settings.labels)
