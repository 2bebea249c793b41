"""Kalmia: the JSON of search, experiments, behaviours and annotations (``trace_wire`` has that of traces)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ... import models
from .. import RequestModel, Whole, WireList, WireModel, at_least_one
from .trace_wire import KalmiaTrace as KalmiaTrace

Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Listing(WireModel):
    """An object whose first field is a list; the bare list is read too."""

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, value: Any) -> Any:
        return {next(iter(cls.model_fields)): value} if isinstance(value, list) else value


class IngestBatch(WireList[KalmiaTrace]):
    """``POST /api/v1/traces/ingest``: an array of traces; a single one is read too."""

    leave_out = "unset"

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict | KalmiaTrace) else value


class Rejected(WireModel):
    """A trace that was not stored, and why."""

    id: str
    reason: str | None = None


class IngestResult(WireModel):
    """The answer to it: what it does not name is stored."""

    rejected: list[Rejected] = Field(default_factory=list)


class TracePage(_Listing):
    """``GET /api/v1/traces``, newest first; a bare array is read too.

    Attributes:
        next_cursor: Where the next page begins; None on the last one.
    """

    leave_out = "unset"

    traces: list[KalmiaTrace]
    next_cursor: str | None = None


class SearchRequest(RequestModel):
    """``POST /api/traces/search``."""

    query: Annotated[str, Field(min_length=1)]
    project: str | None = None
    limit: Annotated[int, Field(ge=1), Whole] | None = None


class Hit(WireModel):
    """A trace that was found; the higher the score, the better it fits."""

    leave_out = "unset"

    trace: KalmiaTrace
    score: float
    snippet: str | None = None


class SearchResults(WireModel):
    """The answer to it."""

    leave_out = "unset"

    results: list[Hit]
    total: int | None = None


class FeedbackRequest(RequestModel):
    """``POST /api/v1/traces/{id}/feedback``; what is absent stays as it was."""

    model_config = ConfigDict(json_schema_extra=at_least_one("rating", "comment"))

    rating: Literal["up", "down"] | None = None
    comment: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.rating is None and self.comment is None:
            raise ValueError("give rating, comment or both")
        return self


class Acknowledged(WireModel):
    """An answer in which nothing is promised."""


class ExperimentCreate(RequestModel):
    """``POST /api/experiments``."""

    name: Annotated[str, Field(min_length=1)]
    correlation_ids: list[str] = Field(alias="correlationIds")


class Experiment(WireModel):
    """A named group of traces: those whose ``metadata.correlationId`` it lists."""

    id: str
    name: str
    correlation_ids: list[str] = Field(alias="correlationIds")
    created_at: datetime = Field(alias="createdAt")

    @classmethod
    def of(cls, experiment: models.Experiment, **more: Any) -> Self:
        """Show an experiment of ours.

        Args:
            experiment: The experiment.
            more: What a subclass shows besides.
        """
        return cls(**experiment.model_dump(), **more)


class ExperimentList(_Listing):
    """``GET /api/experiments``, newest first; a bare array is read too."""

    experiments: list[Experiment]


class MeanScore(WireModel):
    """The mean of a score over ``n`` traces."""

    mean: float
    n: int


class Latency(WireModel):
    """Percentiles of latency in milliseconds."""

    p50: float | None = None
    p95: float | None = None


class ExperimentMetrics(WireModel):
    """Totals over the traces of an experiment.

    Attributes:
        errors: Traces that ended with an error.
        error_rate: Of all traces; None without any.
        score: By name; of one that a trace has twice, the last counts.
        latency_ms: Of the traces that have ended, from the first start to the last end.
        input_tokens: Of all calls to models that say so; None where none does.
        output_tokens: Likewise.
        cost_usd: Of all calls whose price is known; None where none is.
    """

    traces: int = 0
    errors: int = 0
    error_rate: float | None = None
    score: dict[str, MeanScore] = Field(default_factory=dict)
    latency_ms: Latency = Field(default_factory=Latency)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


class ExperimentDetail(Experiment):
    """``GET /api/experiments/:id``."""

    leave_out = "unset"

    traces: list[KalmiaTrace] = Field(default_factory=list)
    metrics: ExperimentMetrics | None = None


class AnalysisRequest(RequestModel):
    """``POST /api/experiments/:id/analysis``."""

    question: str | None = None
    model: str | None = None


class AnalysisInsight(WireModel):
    """One finding of an analysis, and the traces that show it."""

    title: str
    detail: str | None = None
    trace_ids: list[str] = Field(default_factory=list, alias="traceIds")


class Analysis(WireModel):
    """The answer to it, when the analysis is done."""

    insights: list[AnalysisInsight]
    job_id: str | None = Field(default=None, alias="jobId")


class BehaviorCreate(RequestModel):
    """``POST /api/behaviors``: a label and what it means, in plain language."""

    label: Annotated[str, Field(min_length=1)]
    description: str


class Behavior(WireModel):
    """A behaviour that traces can show."""

    id: str
    label: str
    description: str
    created_at: datetime | None = Field(default=None, alias="createdAt")

    @classmethod
    def of(cls, behavior: models.Behavior) -> Self:
        """Show a behaviour of ours."""
        return cls(**behavior.model_dump())


class BehaviorList(_Listing):
    """``GET /api/behaviors``; a bare array is read too."""

    behaviors: list[Behavior]


class AnnotationCreate(RequestModel):
    """``POST /api/annotations``."""

    trace_id: str
    label: Annotated[str, Field(min_length=1)]
    confidence: Confidence
    notes: str | None = None


class Annotation(WireModel):
    """A behaviour that a trace shows; ``source`` is ``human`` or ``detected``."""

    id: str
    trace_id: str
    label: str
    confidence: float
    notes: str | None = None
    source: str | None = None
    created_at: datetime | None = Field(default=None, alias="createdAt")

    @classmethod
    def of(cls, annotation: models.Annotation) -> Self:
        """Show an annotation of ours."""
        return cls(**annotation.model_dump())


class AnnotationList(_Listing):
    """``GET /api/annotations``; a bare array is read too."""

    annotations: list[Annotation]


class DetectRequest(RequestModel):
    """``POST /api/behaviors/detect``; without ``labels``, all behaviours."""

    trace_ids: Annotated[list[str], Field(min_length=1)]
    labels: Annotated[list[str], Field(min_length=1)] | None = None
    min_confidence: Confidence | None = None


class Detected(WireModel):
    """The answer to it: the new annotations, and how many traces were looked at."""

    annotations: list[Annotation]
    checked: int | None = None


class BraintrustConfig(RequestModel):
    """``PUT /api/integrations/braintrust``, which is ours; its shape is that of Kayba's others.

    Attributes:
        api_url: Braintrust's API; that of the US region where it is not given.
        project_name: The project that traces are read from where a request names none.
    """

    model_config = ConfigDict(extra="ignore")

    enabled: bool | None = None
    api_url: str | None = Field(default=None, alias="apiUrl")
    api_key: str | None = Field(default=None, alias="apiKey", repr=False)
    project_name: str | None = Field(default=None, alias="projectName")
