"""Experiments, side by side too; behaviours, and which traces show them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from ...models import Experiment, Trace
from ...pipeline.figures import figures_of
from ...platforms.kalmia.wire import (
    AnalysisRequest,
    AnnotationCreate,
    BehaviorCreate,
    DetectRequest,
    ExperimentMetrics,
)
from ..operation import Access, Call
from ..problem import Refusal
from ..routes import behaviors as routes
from ..routes.observing import begin_analysis, begin_detection
from .page import ROOT, Page, Redirect, View, url

_SHOWN = 200
#: Experiments that are compared at one time.
_MOST_BESIDE = 6
#: The newest experiments, of which scores are drawn.
_MOST_IN_TREND = 30


class Compared(BaseModel):
    """Which experiments are compared."""

    id: Annotated[tuple[str, ...], Field(max_length=_MOST_BESIDE)] = ()


class Question(BaseModel):
    """What a model is to look for in an experiment."""

    question: Annotated[str, Field(max_length=10_000)] | None = None


class NewBehavior(BaseModel):
    """The form for a behaviour."""

    label: Annotated[str, Field(max_length=200)]
    description: Annotated[str, Field(max_length=10_000)]


class NewAnnotation(BaseModel):
    """What a person says that a trace shows."""

    label: Annotated[str, Field(max_length=200)]
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1.0
    notes: Annotated[str, Field(max_length=10_000)] | None = None


class Newest(BaseModel):
    """How many traces are looked at, the newest."""

    count: Annotated[int, Field(ge=1, le=_SHOWN)] = 20


def list_experiments(call: Call) -> View:
    """List experiments, the newest first, with the trend of their scores."""
    experiments = call.store.experiments.newest()
    history = []
    for one in reversed(experiments[:_MOST_IN_TREND]):
        means = call.store.experiments.mean_scores(one.correlation_ids)
        figures = {name: {"figure": mean, "interval": None} for name, mean in means.items()}
        at = one.created_at.isoformat()
        history.append({"id": one.name, "at": at, "revision": None, "figures": figures})
    trend = {"task": "Means over the traces of each", "gates": [], "history": history}
    return View("observing.experiments", {"experiments": experiments, "trends": [trend]})


def show_experiment(call: Call, experiment_id: str) -> View:
    """Show an experiment: its figures as they stand, and its traces."""
    experiment = _experiment(call, experiment_id)
    traces, figures = _figures(call, experiment)
    values = {"experiment": experiment, "figures": figures, "traces": traces[:_SHOWN]}
    return View("observing.experiment", values)


def compare(call: Call, query: Compared) -> View:
    """Show the figures of experiments side by side."""
    beside = [(one, _figures(call, one)[1]) for one in (_experiment(call, given) for given in query.id)]
    names = sorted({name for _, figures in beside for name in figures.score})
    return View("observing.compare", {"beside": beside, "names": names})


async def analyze(call: Call, body: Question, experiment_id: str) -> Redirect:
    """Have a model read an experiment's traces."""
    job = await begin_analysis(call, AnalysisRequest(question=body.question), experiment_id)
    return Redirect(url("jobs", job.id))


def list_behaviors(call: Call) -> View:
    """List behaviours, with how many traces are said to show each."""
    behaviors = call.store.annotations.behaviors()
    counts: dict[str, int] = {}
    for annotation in call.store.annotations.newest():
        counts[annotation.label] = counts.get(annotation.label, 0) + 1
    undefined = sorted(set(counts) - {behavior.label for behavior in behaviors})
    return View("observing.behaviors", {"behaviors": behaviors, "counts": counts, "undefined": undefined})


def show_behavior(call: Call, label: str) -> View:
    """Show a behaviour and the traces that are said to show it."""
    annotations = call.store.annotations.newest(label=label)
    behavior = next((known for known in call.store.annotations.behaviors() if known.label == label), None)
    if behavior is None and not annotations:
        raise Refusal(404, f"there is no behaviour {label!r}")
    values = {"label": label, "behavior": behavior, "annotations": annotations[:_SHOWN]}
    return View("observing.behavior", {**values, "total": len(annotations)})


async def create_behavior(call: Call, body: NewBehavior) -> Redirect:
    """Define a behaviour."""
    await routes.create_behavior(call, BehaviorCreate(label=body.label, description=body.description))
    return Redirect(url("behaviors"))


async def annotate(call: Call, body: NewAnnotation, trace_id: str) -> Redirect:
    """Say that a trace shows a behaviour."""
    given = AnnotationCreate(
        trace_id=trace_id, label=body.label, confidence=body.confidence, notes=body.notes
    )
    await routes.create_annotation(call, given)
    return Redirect(url("traces", trace_id, mark="annotations"))


async def detect_in(call: Call, trace_id: str) -> Redirect:
    """Have a model say which behaviours a trace shows."""
    job = await begin_detection(call, DetectRequest(trace_ids=[trace_id]))
    return Redirect(url("jobs", job.id))


async def detect(call: Call, body: Newest) -> Redirect:
    """Have a model say which behaviours the newest traces show."""
    ids = call.store.shelf.ids()[: body.count]
    if not ids:
        raise Refusal(422, "there are no traces yet")
    job = await begin_detection(call, DetectRequest(trace_ids=ids))
    return Redirect(url("jobs", job.id))


def _experiment(call: Call, experiment_id: str) -> Experiment:
    experiment = call.store.experiments.one(experiment_id)
    if experiment is None:
        raise Refusal(404, f"there is no experiment {experiment_id!r}")
    return experiment


def _figures(call: Call, experiment: Experiment) -> tuple[list[Trace], ExperimentMetrics]:
    traces = call.store.experiments.traces(experiment.correlation_ids)
    return traces, figures_of(traces)


PAGES = (
    Page("GET", f"{ROOT}/experiments", Access.READ, list_experiments),
    Page("GET", f"{ROOT}/experiments/compare", Access.READ, compare, errors=(404,)),
    Page("GET", f"{ROOT}/experiments/{{experiment_id}}", Access.READ, show_experiment, errors=(404,)),
    Page(
        "POST",
        f"{ROOT}/experiments/{{experiment_id}}/analysis",
        Access.WRITE,
        analyze,
        errors=(404, 409, 413),
    ),
    Page("GET", f"{ROOT}/behaviors", Access.READ, list_behaviors),
    Page("POST", f"{ROOT}/behaviors", Access.WRITE, create_behavior, errors=(409,)),
    Page("POST", f"{ROOT}/behaviors/detect", Access.WRITE, detect, errors=(404, 409, 413)),
    Page("GET", f"{ROOT}/behaviors/{{label}}", Access.READ, show_behavior, errors=(404,)),
    Page("POST", f"{ROOT}/traces/{{trace_id}}/annotations", Access.WRITE, annotate, errors=(404,)),
    Page("POST", f"{ROOT}/traces/{{trace_id}}/detect", Access.WRITE, detect_in, errors=(404, 409)),
)
