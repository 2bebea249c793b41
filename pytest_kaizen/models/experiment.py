"""Groups of traces, and what traces are said to show."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class Experiment(BaseModel, defer_build=True):
    """A named group of traces.

    Attributes:
        correlation_ids: Those of its traces, whether they have arrived or not.
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    name: str
    correlation_ids: list[str]
    created_at: datetime


class Behavior(BaseModel, defer_build=True):
    """Something that a trace may show.

    Attributes:
        label: Its name.
        description: What it is, in plain language.
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    label: str
    description: str
    created_at: datetime


class Annotation(BaseModel, defer_build=True):
    """A statement that a trace shows a behaviour.

    Attributes:
        confidence: In [0, 1].
        source: Who says so: a person, or a model that looked.
    """

    id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    trace_id: str
    label: str
    confidence: float = Field(ge=0, le=1, allow_inf_nan=False)
    notes: str | None = None
    source: Literal["human", "detected"] = "human"
    created_at: datetime
