"""``kaizen.lock``: which version of each task's prompt is active, and what every version's text was."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from pytest_kaizen.errors import PromptError
from pytest_kaizen.wholefile import replace_text
from pytest_kaizen.yamlfile import read_yaml

from .prompt import Prompt

LOCK_NAME = "kaizen.lock"
# One line a version, in a fixed order, so that two branches that add versions merge by lines.
_HEADER = """\
# The active version of each task's prompt, and the SHA-256 of every locked version's text.
# Written by `kaizen prompts activate` and `kaizen prompts lock`. Commit it.
"""
_SHA256 = re.compile("[0-9a-f]{64}")


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
