"""What an engine is given to search for a better prompt, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ..models import Insight, Spend
from .cases import TaskCase


@dataclass(frozen=True)
class SearchJob:
    """One search.

    Attributes:
        prompt: The text of the active prompt.
        search: The cases whose failures may be read.
        validation: The cases whose scores may pick among candidates.
        model: The model that answers under the prompt; part of the ledger's key.
        rubric: The SHA-256 of what judges; part of the ledger's key.
        reflector: The model that reflects; another one is asked anew.
        insights: Accepted ones are proposed first, rejected ones never again.
        seed: Of all that is random.
        epochs: How often the search may pass over its cases.
        chunk: Failures per reflection.
        mode: How long traces are read.
    """

    task: str
    prompt: str
    search: tuple[TaskCase, ...]
    validation: tuple[TaskCase, ...] = ()
    model: str = ""
    rubric: str = ""
    reflector: str = ""
    insights: tuple[Insight, ...] = ()
    seed: int = 0
    epochs: int = 8
    chunk: int = 3
    mode: Literal["standard", "recursive"] = "standard"


@dataclass(frozen=True)
class Candidate:
    """A prompt that an engine proposes.

    Attributes:
        insights: The lessons in it that the active prompt lacks, as far as they are known.
    """

    text: str
    insights: tuple[Insight, ...] = ()


@dataclass(frozen=True)
class Event:
    """Progress.

    Attributes:
        step: What the search does now.
        spend: What it has used.
        best: The mean score of its best prompt, as last measured on the cases at hand.
    """

    step: str
    spend: Spend = field(default_factory=Spend)
    best: float | None = None


OnEvent = Callable[[Event], None]
