"""The prompts of a project: which versions there are, which one a task runs, what ``kaizen.lock`` says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from ..config import Config
from ..errors import PromptError
from ..files import read_yaml, replace_text
from ..models import PromptVersion
from .files import Prompt, holds_versions, normalise, read_versions, sha256_of, variables_in

LOCK_NAME = "kaizen.lock"
# One line a version, in a fixed order, so that two branches that add versions merge by lines.
_HEADER = """\
# The active version of each task's prompt, and the SHA-256 of every locked version's text.
# Written by `kaizen prompts activate` and `kaizen prompts lock`. Commit it.
"""
_SHA256 = re.compile("[0-9a-f]{64}")

_FOLDER_NAME = re.compile(r"\w[\w.-]*")


class _TaskDocument(BaseModel, defer_build=True):
    model_config = ConfigDict(frozen=True, extra="forbid")

    active: int = Field(ge=1, strict=True)
    versions: dict[int, str] = Field(default_factory=dict)


class _LockDocument(BaseModel, defer_build=True):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: dict[str, _TaskDocument] = Field(default_factory=dict)


@dataclass
class Lock:
    """The content of ``kaizen.lock``; empty when there is no such file.

    Attributes:
        path: The file.
        active: The active version, by task.
        hashes: SHA-256 of the text of each locked version, by task and number.
    """

    path: Path
    active: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, dict[int, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> Lock:
        """Read the lock of a project.

        Raises:
            PromptError: The file is not what a lock must be: with its line.
        """
        path = root / LOCK_NAME
        if not path.exists():
            return cls(path)
        file = read_yaml(path, error=PromptError)
        lock = cls(path)
        for task, entry in file.parse(_LockDocument).tasks.items():
            for number, sha256 in entry.versions.items():
                if not _SHA256.fullmatch(sha256) or number < 1:
                    message = (
                        f"tasks.{task}.versions: expected a version and its SHA-256, 64 hex digits "
                        f"(found {number}: {sha256!r}); take the line back from git, or remove it and "
                        f"run `kaizen prompts lock {task}`"
                    )
                    raise file.fail(message, ("tasks", task, "versions", str(number)))
            lock.active[task] = entry.active
            lock.hashes[task] = entry.versions
        return lock

    def verify(self, prompt: Prompt) -> None:
        """Check that a version is what was locked; one that is not locked yet may be anything.

        Raises:
            PromptError: Its file was edited since.
        """
        locked = self.hashes.get(prompt.task, {}).get(prompt.version, prompt.sha256)
        if locked != prompt.sha256:
            message = (
                f"version {prompt.version} of '{prompt.task}' was edited after it was locked: the text's "
                f"SHA-256 is {prompt.sha256}, {LOCK_NAME} has {locked}. Put the locked text back; to keep "
                f"the edit, copy it to a new version first: "
                f"`kaizen prompts new {prompt.task} --from {prompt.version}`"
            )
            raise PromptError(message, path=prompt.path)

    def record(self, task: str, prompts: Iterable[Prompt], *, active: int) -> None:
        """Lock versions of a task and say which version is active.

        Raises:
            PromptError: One is locked already, with another text.
        """
        for prompt in prompts:
            self.verify(prompt)
            self.hashes.setdefault(task, {})[prompt.version] = prompt.sha256
        self.active[task] = active

    def write(self) -> None:
        """Write the file, so that a reader sees the old content or the new, never a part.

        Raises:
            PromptError: It cannot be written.
        """
        tasks = {
            task: {"active": self.active[task], "versions": self.hashes.get(task, {})} for task in self.active
        }
        import yaml

        content = _HEADER + yaml.safe_dump({"tasks": tasks}, allow_unicode=True, default_flow_style=False)
        try:
            replace_text(self.path, content)
        except OSError as exc:
            raise PromptError(f"cannot be written: {exc}", path=self.path) from None


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
