"""The prompts of a project: which versions there are, which one a task runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pytest_kaizen.config import Config
from pytest_kaizen.errors import PromptError
from pytest_kaizen.models import PromptVersion

from .files import holds_versions, read_versions
from .lock import LOCK_NAME, Lock
from .prompt import Prompt
from .text import normalise, sha256_of, variables_in

_FOLDER_NAME = re.compile(r"\w[\w.-]*")


class PromptLibrary:
    """The prompts of a project, read when they are first asked for and then kept.

    Args:
        config: Where they are, and which versions to run instead of the active ones.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._prompts: dict[str, dict[int, Prompt]] = {}
        self._chosen: dict[str, Prompt] = {}
        self._supplied: dict[str, Prompt] = {}

    @cached_property
    def lock(self) -> Lock:
        """The project's ``kaizen.lock``.

        Raises:
            PromptError: It is malformed.
        """
        return Lock.read(self._config.root)

    def get(self, task: str) -> Prompt:
        """Return the prompt that a task runs.

        That is the version asked for (``--kaizen-prompt-version``), else the active one of
        ``kaizen.lock``, else the one with the highest number.

        Raises:
            PromptError: There is no such version, or a locked version was edited.
        """
        if task not in self._chosen:
            prompts = self._existing(task)
            for prompt in prompts.values():
                self.lock.verify(prompt)
            self._chosen[task] = self._choose(task, prompts)
        return self._chosen[task]

    def override(self, task: str, text: str) -> None:
        """Let a task run a text that is in no file, in the place of the version that it runs.

        Raises:
            PromptError: As ``get``.
        """
        self._chosen[task] = replace(
            self.get(task), text=text, sha256=sha256_of(text), variables=variables_in(text)
        )

    def supply(self, version: PromptVersion, source: str) -> None:
        """Let a task run a version that is kept elsewhere, in the place of the active one here.

        Args:
            version: The version.
            source: Where it is kept, for messages.
        """
        text = normalise(version.text)
        prompt = Prompt(
            task=version.task,
            version=version.version,
            text=text,
            sha256=sha256_of(text),
            path=Path(source) / version.task,
            model=version.model,
            variables=variables_in(text),
            note=version.note,
        )
        self._supplied[version.task] = self._chosen[version.task] = prompt

    def _choose(self, task: str, prompts: dict[int, Prompt]) -> Prompt:
        wanted = self._config.prompt_versions.get(task)
        if wanted is not None:
            return self.version(task, wanted)
        active = self.lock.active.get(task, max(prompts))
        if active not in prompts:
            message = (
                f"version {active} of '{task}' is active, and its file "
                f"{self._config.prompt_folder(task) / f'{active}.md'} does not exist ({_there(prompts)}); "
                f"put the file back, or make another version active: `kaizen prompts activate {task} N`"
            )
            raise PromptError(message, path=self.lock.path)
        return prompts[active]

    def version(self, task: str, number: int) -> Prompt:
        """Return a version by its number, whichever is active and whatever the lock says.

        Raises:
            PromptError: There is no such version: names those that exist.
        """
        prompts = self._existing(task)
        if number not in prompts:
            message = f"there is no version {number} of '{task}' ({_there(prompts)})"
            raise PromptError(message, path=self._config.prompt_folder(task))
        return prompts[number]

    def numbers(self, task: str) -> list[int]:
        """Return the numbers of a task's versions, ascending; empty when there is none."""
        return list(self._read(task))

    def versions(self, task: str) -> list[PromptVersion]:
        """Return all versions of a task, ascending; the parent of each is the number before it.

        A version that was edited after it was locked is among them, with its present hash.

        Raises:
            PromptError: A file that is no prompt file; no version at all.
        """
        prompts = self._existing(task)
        parents = [None, *prompts]
        return [
            PromptVersion(
                task=task,
                version=number,
                sha256=prompt.sha256,
                text=prompt.text,
                parent=parent,
                model=prompt.model,
                variables=prompt.variables,
                note=prompt.note,
            )
            for (number, prompt), parent in zip(prompts.items(), parents, strict=False)
        ]

    def tasks(self) -> list[str]:
        """Return the names of all tasks that have prompts, sorted.

        These are the folders in ``prompts/`` with a version in them, the tasks whose folder
        ``kaizen.yaml`` names, and those in ``kaizen.lock``.
        """
        placed = {task for task, settings in self._config.tasks.items() if settings.prompts}
        elsewhere = {self._config.prompt_folder(task).resolve() for task in placed}
        found = {
            folder.name
            for folder in self._folders()
            if folder.resolve() not in elsewhere
            and _FOLDER_NAME.fullmatch(folder.name)
            and holds_versions(folder)
        }
        return sorted(found | placed | set(self.lock.active))

    def _folders(self) -> Iterable[Path]:
        home = self._config.root / "prompts"
        return home.iterdir() if home.is_dir() else ()

    def active(self, task: str) -> int | None:
        """Return the active version: one kept elsewhere, the lock's, the highest; None without versions."""
        if task in self._supplied:
            return self._supplied[task].version
        if task in self.lock.active:
            return self.lock.active[task]
        return max(self._read(task), default=None)

    def locked(self, task: str) -> dict[int, str]:
        """Return the locked SHA-256 of each locked version."""
        return dict(self.lock.hashes.get(task, {}))

    def check(self) -> None:
        """Check all tasks, and those of the versions asked for.

        Raises:
            PromptError: What ``get`` would raise for any of them.
        """
        for task in sorted({*self.tasks(), *self._config.prompt_versions}):
            self.get(task)

    def _existing(self, task: str) -> dict[int, Prompt]:
        prompts = self._read(task)
        if not prompts:
            message = f"no prompt of '{task}' here; write the first version: `kaizen prompts new {task}`"
            if task in self.lock.active:
                message = (
                    f"no prompt of '{task}' here, and {LOCK_NAME} has one; put its files back, "
                    f"or take '{task}' out of {self.lock.path}"
                )
            raise PromptError(message, path=self._config.prompt_folder(task))
        return prompts

    def _read(self, task: str) -> dict[int, Prompt]:
        if task not in self._prompts:
            if not self._config.task(task).prompts and not _FOLDER_NAME.fullmatch(task):
                raise PromptError(
                    f"the name of a task is that of its folder in prompts/: letters, digits, '_', '-' and "
                    f"'.', the first a letter, a digit or '_' (found {task!r})"
                )
            self._prompts[task] = read_versions(task, self._config.prompt_folder(task))
        supplied = self._supplied.get(task)
        return self._prompts[task] if supplied is None else {supplied.version: supplied}


def _there(prompts: dict[int, Prompt]) -> str:
    return f"there: {', '.join(str(number) for number in prompts)}"
