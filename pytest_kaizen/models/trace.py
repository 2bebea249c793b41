"""Traces: what one sample did, as a tree of spans, and the scores that it was given.

Messages have the shape of OpenTelemetry's GenAI conventions (``gen_ai.input.messages``,
``gen_ai.output.messages``): a role and a list of typed parts. A system prompt is the first input
message, with role ``system``.
"""

from __future__ import annotations

import os
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ScoreSource(StrEnum):
    """Who gave a score."""

    CHECK = "check"
    JUDGE = "judge"
    HUMAN = "human"
    SDK = "sdk"


class Score(BaseModel):
    """A named number in [0, 1] on a trace, or the error of a scorer that could give none.

    Attributes:
        name: ``names the product``; ``summary.faithful`` for a criterion, ``summary`` for a
            rubric's weighted total.
        value: None exactly when ``error`` is set.
        reason: Why, in the scorer's words.
        expected: What the scorer looked for, where it can say.
        rubric: The rubric that the score belongs to.
        votes: The single answers of a judge that was asked more than once.
    """

    name: str
    value: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    source: ScoreSource
    reason: str | None = None
    expected: str | None = None
    error: str | None = None
    rubric: str | None = None
    weight: float | None = None
    votes: list[float] | None = None

    @model_validator(mode="after")
    def _value_or_error(self) -> Score:
        if (self.value is None) == (self.error is None):
            raise ValueError("a score has either a value or an error")
        return self

    @property
    def votes_text(self) -> str:
        """The spread of a judge's votes, for reports: `` (3 votes, 0.00 to 1.00)``; else empty."""
        if not self.votes:
            return ""
        return f" ({len(self.votes)} votes, {min(self.votes):.2f} to {max(self.votes):.2f})"

    @property
    def is_criterion(self) -> bool:
        """Whether this is one criterion of a rubric, which counts through the rubric's total."""
        return self.rubric is not None and self.name != self.rubric


class SpanKind(StrEnum):
    """What a span stands for."""

    LLM = "LLM"
    JUDGE = "JUDGE"
    TOOL = "TOOL"
    CHAIN = "CHAIN"
    AGENT = "AGENT"
    RETRIEVER = "RETRIEVER"
    EMBEDDING = "EMBEDDING"


class Part(BaseModel, defer_build=True):
    """One part of a message.

    ``type`` says which other fields there are: ``text`` and ``reasoning`` have ``content``;
    ``tool_call`` has ``id``, ``name`` and ``arguments``; ``tool_call_response`` has ``id`` and
    ``response``; ``blob`` (an image, audio or file) has ``mime_type``, ``sha256`` and ``size`` in
    bytes, never the bytes; ``uri`` has ``uri``. Unknown types keep their fields.
    """

    model_config = ConfigDict(extra="allow")

    type: str
    content: str | None = None


class Message(BaseModel, defer_build=True):
    """One message to or from a model."""

    role: str
    parts: list[Part] = Field(default_factory=list)
    finish_reason: str | None = None

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.content or "" for part in self.parts if part.type == "text")


class Usage(BaseModel, defer_build=True):
    """Tokens of a call, as the provider reported them; None where it did not.

    ``input_tokens`` counts all input, cached or not; the two cache figures say how much of it was
    read from and written to the provider's cache.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None


class Attempt(BaseModel, defer_build=True):
    """One HTTP request of a call; an SDK that retries makes several.

    Attributes:
        latency_ms: None when it is not known: JSON has no word for the infinity that a clock gives
            which a test has replaced.
    """

    started_at: datetime
    latency_ms: float | None = None
    status: int | None = None
    error: str | None = None


class Span(BaseModel):
    """One step of a trace.

    Attributes:
        provider: ``gen_ai.provider.name``, for example ``anthropic`` or ``openai``.
        model: The model that answered, or the one asked for when nothing answered.
        input: The messages sent, the system prompt first.
        output: The messages that came back, usually one.
        cost_usd: None when the model's price or the usage is not known; never 0 for "unknown".
        latency_ms: From the start of the first attempt to the end of the answer (of the stream).
        replayed: The answer came from a cassette; latency and cost are the recorded ones.
        error: What went wrong, as one line; None for a call that succeeded.
        metadata: Request parameters, URL, response id, time to first token and what else is known.
    """

    id: str
    parent_id: str | None = None
    name: str
    kind: SpanKind = SpanKind.LLM
    provider: str | None = None
    model: str | None = None
    input: list[Message] = Field(default_factory=list)
    output: list[Message] = Field(default_factory=list)
    usage: Usage = Field(default_factory=Usage)
    cost_usd: float | None = None
    started_at: datetime
    latency_ms: float | None = None
    attempts: list[Attempt] = Field(default_factory=list)
    replayed: bool = False
    error: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text of the output."""
        return "".join(message.text for message in self.output)

    @property
    def system(self) -> str:
        """The text of the system prompt, empty when there was none."""
        return "\n".join(message.text for message in self.input if message.role == "system")


class TraceFile(BaseModel, defer_build=True):
    """The file that a trace was put in as; ``size`` in bytes."""

    model_config = ConfigDict(frozen=True)

    filename: str
    file_type: Literal["md", "json", "txt"]
    size: int


class Trace(BaseModel):
    """What one sample did, with its scores.

    ``input`` and ``output`` are what a rubric judges: given by ``kaizen.case(...)``, else the last
    LLM span's input and text. A trace that was put in as a file has the file's text as ``output``.
    """

    id: str
    run_id: str | None = None
    task: str | None = None
    case_id: str | None = None
    sample: int = 0
    name: str
    created_at: datetime
    input: Any = None
    output: Any = None
    reference: Any = None
    error: str | None = None
    file: TraceFile | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    scores: list[Score] = Field(default_factory=list)
    spans: list[Span] = Field(default_factory=list)

    @property
    def llm_spans(self) -> list[Span]:
        """The model calls of the case itself, in order; calls of a judge are not among them."""
        return [span for span in self.spans if span.kind is SpanKind.LLM]


def new_trace_id() -> str:
    """Make a trace id as OpenTelemetry has them: 16 random bytes in hex.

    From the operating system, so that a test which seeds ``random`` or forks gets no id twice.
    """
    return os.urandom(16).hex()


def new_span_id() -> str:
    """Make a span id as OpenTelemetry has them: 8 random bytes in hex."""
    return os.urandom(8).hex()
