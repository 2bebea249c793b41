"""Kate: the JSON of its agents, their runs and spans, and the evaluation of runs.

Ids are UUIDs where Kate issues them; an agent's may be any text of letters, digits, ``-`` and
``_``. Times are ISO 8601 with Z.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID, uuid4

from pydantic import AliasChoices, BeforeValidator, Field, RootModel

from ... import models
from ...models import Message, Part, SpanKind, Trace
from ...models import Span as OurSpan
from .. import Milliseconds, RequestModel, Whole, WireList, WireModel

Trigger = Literal["manual", "automatic", "test"]
Kind = Literal["LLM", "TOOL", "CHAIN", "AGENT", "RETRIEVER", "EMBEDDING"]
RunState = Literal["queued", "running", "succeeded", "failed"]

#: Their words for the state of a run, and ours.
RUN_STATES: dict[str, RunState] = {
    "queued": "queued",
    "running": "running",
    "completed": "succeeded",
    "failed": "failed",
}


def _as_text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else RootModel[Any](value).model_dump_json()


#: A text; anything else that the SDK's decorator kept is read as its JSON.
Text = Annotated[str, BeforeValidator(_as_text)]


class Agent(WireModel):
    """An agent."""

    id: str
    name: str
    domain: str = "general"
    objective: str | None = None
    status: str | None = None
    owner_id: str | None = None
    created_at: datetime
    updated_at: datetime | None = None

    @classmethod
    def of(cls, agent: models.Agent, owner_id: str | None = None) -> Self:
        """Show an agent of ours.

        Args:
            agent: The agent.
            owner_id: Whose it is; None where all is one person's.
        """
        return cls(**agent.model_dump(), status="active", owner_id=owner_id)


class AgentList(WireList[Agent]):
    """``GET /agents``: a bare array."""


class AgentCreate(RequestModel):
    """``POST /agents``."""

    name: Annotated[str, Field(min_length=1)]
    domain: str = "general"
    objective: str | None = None


class AgentUpdate(RequestModel):
    """``PATCH /agents/{agent_id}``; what is absent stays."""

    name: Annotated[str, Field(min_length=1)] | None = None
    domain: str | None = None
    objective: str | None = None


class Empty(WireModel):
    """``{}``, which also stands for an answer without a body."""


class Run(WireModel):
    """One run of an agent.

    Attributes:
        status: ``completed`` and ``failed`` are final.
        trigger: ``manual``, ``automatic`` or ``test``.
        overall_score: In [0, 1]; None until the evaluation is done.
    """

    id: str
    agent_id: str
    status: str
    trigger: str
    overall_score: float | None = None
    created_at: datetime
    completed_at: datetime | None = None

    @classmethod
    def of(cls, run: models.AgentRun) -> Self:
        """Show a run of ours."""
        return cls(**run.model_dump())

    @property
    def state(self) -> RunState:
        """The status in our words; one that we do not know counts as running."""
        return RUN_STATES.get(self.status, "running")


class RunList(WireModel):
    """``GET /agents/{agent_id}/runs``, newest first."""

    runs: list[Run]


class RunCreate(RequestModel):
    """``POST /agents/{agent_id}/runs``."""

    trigger: Trigger
    run_id: UUID | None = None


class Span(WireModel):
    """A step of a run; both vocabularies are read, the documented one is written.

    Attributes:
        node_name: Also read as ``name``.
        span_kind: One of ``Kind``.
        input_text: Also read as ``input``, and then of any type.
        output_text: Also read as ``output``, likewise.
        token_count: Of input and output together.
    """

    node_name: str = Field(validation_alias=AliasChoices("node_name", "name"))
    span_kind: str = "LLM"
    input_text: Text | None = Field(default=None, validation_alias=AliasChoices("input_text", "input"))
    output_text: Text | None = Field(default=None, validation_alias=AliasChoices("output_text", "output"))
    model: str | None = None
    latency_ms: float | None = None
    token_count: int | None = None
    error: str | None = None

    @classmethod
    def of(cls, span: OurSpan) -> Self:
        """Make the step that a span stands for."""
        used = [count for count in (span.usage.input_tokens, span.usage.output_tokens) if count is not None]
        return cls(
            node_name=span.name,
            span_kind=span.kind.value,
            input_text=_text(span.input),
            output_text=_text(span.output),
            model=span.model,
            latency_ms=span.latency_ms,
            token_count=sum(used) if used else span.metadata.get("token_count"),
            error=span.error,
        )


class NewSpan(Span):
    """A step to upload; keys without a value are left out."""

    leave_out = "none"

    span_kind: Kind = "LLM"
    latency_ms: Milliseconds | None = None
    token_count: Annotated[int, Field(ge=0), Whole] | None = None
    docstring: str | None = None

    def to_span(self, started_at: datetime) -> OurSpan:
        """Make the span that the step is; what ours has no place for is in its metadata.

        Args:
            started_at: When it began, which Kate is not told.
        """
        rest = {"token_count": self.token_count, "docstring": self.docstring}
        return OurSpan(
            id=str(uuid4()),
            name=self.node_name,
            kind=SpanKind(self.span_kind),
            model=self.model,
            input=_said("user", self.input_text),
            output=_said("assistant", self.output_text),
            started_at=started_at,
            latency_ms=self.latency_ms,
            error=self.error,
            metadata={key: value for key, value in rest.items() if value is not None},
        )


class SpanList(WireModel):
    """``GET /agents/{agent_id}/runs/{run_id}/spans``."""

    spans: list[Span]
    total: int

    @classmethod
    def of(cls, spans: Iterable[OurSpan]) -> Self:
        """Show spans of ours; a judge's calls are none of the agent's."""
        shown = [Span.of(span) for span in spans if span.kind is not SpanKind.JUDGE]
        return cls(spans=shown, total=len(shown))


class SpanUpload(RequestModel):
    """``POST /agents/{agent_id}/runs/{run_id}/spans``."""

    spans: list[NewSpan]

    @classmethod
    def of(cls, trace: Trace) -> Self:
        """Make the steps of a trace, in their order; a judge's calls are none of the agent's."""
        return cls(spans=[NewSpan.of(span) for span in trace.spans if span.kind is not SpanKind.JUDGE])


class SpansUploaded(WireModel):
    """The answer to it."""

    uploaded: int
    span_ids: list[str]


class Enqueue(RequestModel):
    """``POST /agents/{agent_id}/runs/enqueue``, for agents that the server runs."""

    trigger: Trigger
    user_input: str


class Enqueued(WireModel):
    """The answer to it."""

    run_id: str
    job_id: str
    status: str


class EvalSummary(WireModel):
    """``GET /agents/{agent_id}/eval/summary``."""

    intelligence_summary: str | None = None
    updated_at: datetime | None = None
    overall_score: float | None = None
    recommendations: list[Any] = Field(default_factory=list)
    regression_detected: bool = False


def _said(role: str, text: str | None) -> list[Message]:
    return [] if text is None else [Message(role=role, parts=[Part(type="text", content=text)])]


def _text(messages: list[Message]) -> str | None:
    """Join messages to one text; who speaks stands before each where they are several."""
    if not messages:
        return None
    if len(messages) == 1:
        return _content(messages[0])
    return "\n\n".join(f"{message.role}: {_content(message)}" for message in messages)


def _content(message: Message) -> str:
    """Return a message's text; parts that are none, a tool's call for instance, as their JSON."""
    return "\n".join(
        part.content or "" if part.type == "text" else part.model_dump_json(exclude_none=True)
        for part in message.parts
    )
