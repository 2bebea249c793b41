"""One version of a task's prompt, as a test gets it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_kaizen.errors import PromptError

from .text import fill


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a task's prompt, as ``kaizen.prompt(task)`` gives it.

    Attributes:
        text: The prompt, without its front matter, line ends LF, no blank lines around it.
        version: Its number, counted from 1 within the task.
        sha256: Of ``text`` in UTF-8, in hex.
        path: The file it was read from.
        model: The model it was written for, as its front matter says.
        variables: The names of its variables, in the order they first occur.
        note: What its front matter says about it.
    """

    task: str
    version: int
    text: str
    sha256: str
    path: Path
    model: str | None = None
    variables: tuple[str, ...] = ()
    note: str | None = None

    def render(self, /, **variables: object) -> str:
        """Return the text with ``{{ name }}`` replaced by ``str(value)``, for every variable.

        Raises:
            PromptError: A variable has no value, or a value has no variable.
        """
        try:
            return fill(self.text, variables)
        except ValueError as exc:
            message = f"version {self.version} of '{self.task}' cannot be rendered: {exc}"
            raise PromptError(message, path=self.path) from None

    def __str__(self) -> str:
        return self.text
