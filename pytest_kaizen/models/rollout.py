"""Rollouts: a case run once under a candidate prompt, and what came of it."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Feedback(BaseModel, defer_build=True):
    """What one criterion found in an output.

    Attributes:
        criterion: The score's name (``summary.faithful``, a check, a metric).
        score: None when it could not be scored.
        expected: What a good output has.
        observed: What the output had, where the scorer can say.
        reason: Why, in the scorer's words.
    """

    model_config = ConfigDict(frozen=True)

    criterion: str
    score: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    expected: str | None = None
    observed: str | None = None
    reason: str | None = None


class Scored(BaseModel, defer_build=True):
    """One rollout.

    Attributes:
        sample: The number of the sample, from 0.
        score: The case's ``score`` metric; None exactly when ``error`` is set.
        output: What the program answered, as text.
        objectives: The score of each criterion, by name.
        trace_id: The trace that it left; None when it left none.
        cost_usd: What the rollout cost, its judge included; None when that is not known.
        error: Why there is no score: the worker died, the time was up, a scorer failed.
    """

    model_config = ConfigDict(frozen=True)

    case_id: str
    sample: int = 0
    score: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    output: str | None = None
    feedback: tuple[Feedback, ...] = ()
    objectives: dict[str, float] = Field(default_factory=dict)
    trace_id: str | None = None
    cost_usd: float | None = None
    error: str | None = None


class RolloutKey(NamedTuple):
    """What makes two rollouts the same rollout.

    Attributes:
        prompt: The SHA-256 of the prompt's text, in hex.
        case: The case's id and the hash of its input: an input that was edited is another case.
        sample: The number of the sample, from 0.
        model: The model that answers.
        rubric: The SHA-256 of what judges, in hex.
    """

    prompt: str
    case: str
    sample: int
    model: str
    rubric: str
