"""Prompt versions."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

PromptSource = Literal["file", "optimizer", "insights", "platform"]


class PromptVersion(BaseModel, defer_build=True):
    """One text of a task's prompt; immutable once it is recorded.

    Attributes:
        version: Its number, counted from 1 within the task.
        sha256: Of the text in UTF-8, in hex.
        eval_score: The mean score it got when it was evaluated, in [0, 1].
        model: The model it was written for, as its front matter says.
    """

    model_config = ConfigDict(frozen=True)

    task: str
    version: int
    sha256: str
    text: str
    source: PromptSource = "file"
    parent: int | None = None
    eval_score: float | None = None
    created_at: datetime | None = None
    model: str | None = None
    variables: tuple[str, ...] | None = None
    note: str | None = None

    @property
    def id(self) -> str:
        """The id by which it is called: ``TASK@N``."""
        return f"{self.task}@{self.version}"
