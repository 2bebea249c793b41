"""Experiments, side by side too; behaviours, and which traces show them; agents and how well they do."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from ...models import Experiment, Trace
from ...pipeline.observing import summary_of
from ...pipeline.reported import trace_of
from ...pipeline.tally import figures_of
from ...platforms.kalmia import (
    AnalysisRequest,
    AnnotationCreate,
    BehaviorCreate,
    DetectRequest,
    ExperimentCreate,
    ExperimentMetrics,
)
from ...platforms.kalmia import Experiment as MadeExperiment
from ..operation import Access, Call
from ..problem import Refusal
from ..routes import kalmia
from ..routes.kate import as_it_stands
from ..routes.known import agent_of
from .order import TRACE_COLUMNS, Column, Sorting, in_order, order
from .page import ROOT, Page, Redirect, View, url

_SHOWN = 200
#: Experiments that are compared at one time.
_MOST_BESIDE = 6
#: Runs that an experiment is made of at one time.
_MOST_RUNS = 20
#: Runs of an agent on one page.
_AGENT_RUNS = 20
#: The newest experiments, of which scores are drawn.
_MOST_IN_TREND = 30

_COLUMNS = (
    Column("compare", "Compare", None),
    Column("experiment", "Experiment", lambda one: one.name),
    Column("made", "Made", lambda one: one.created_at),
    Column("traces", "Correlation ids", lambda one: len(one.correlation_ids), is_number=True),
)


class Compared(BaseModel):
    """Which experiments are compared."""

    id: Annotated[tuple[str, ...], Field(max_length=_MOST_BESIDE)] = ()


class NewExperiment(BaseModel):
    """The form for an experiment: the traces of runs, and those with the correlation ids, one on a line."""

    name: Annotated[str, Field(max_length=200)]
    run: Annotated[tuple[str, ...], Field(max_length=_MOST_RUNS)] = ()
    ids: str = ""


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


class After(BaseModel):
    """After how many a list goes on."""

    after: Annotated[int, Field(ge=0, le=2**31)] = 0


class Newest(BaseModel):
    """How many traces are looked at, the newest."""

    count: Annotated[int, Field(ge=1, le=_SHOWN)] = 20


def list_experiments(call: Call, query: Sorting) -> View:
    """List experiments, the newest first, with the trend of their scores."""
    experiments = call.store.experiments.newest()
    history = []
    for one in reversed(experiments[:_MOST_IN_TREND]):
        means = call.store.experiments.mean_scores(one.correlation_ids)
        figures = {name: {"figure": mean, "interval": None} for name, mean in means.items()}
        at = one.created_at.isoformat()
        history.append({"id": one.name, "at": at, "revision": None, "figures": figures})
    trend = {"task": "Means over the traces of each", "gates": [], "history": history}
    ordered = order(_COLUMNS, query.sort, "experiments")
    values = {
        "experiments": in_order(experiments, ordered),
        "order": ordered,
        "trends": [trend],
        "runs": call.store.runs(_MOST_RUNS),
    }
    return View("observing.experiments", values)


async def create_experiment(call: Call, body: NewExperiment) -> Redirect | ASGIApp:
    """Make an experiment."""
    ids = [line.strip() for line in body.ids.splitlines() if line.strip()]
    for run_id in body.run:
        ids += await run_in_threadpool(_correlation_ids, call, run_id)
    if not ids:
        raise Refusal(422, "an experiment needs traces: choose runs, or give correlation ids")
    wanted = ExperimentCreate(name=body.name, correlation_ids=list(dict.fromkeys(ids)))
    made = await kalmia.create_experiment(call, wanted)
    return Redirect(url("experiments", made.id)) if isinstance(made, MadeExperiment) else made


def show_experiment(call: Call, query: Sorting, experiment_id: str) -> View:
    """Show an experiment: its figures as they stand, and its traces."""
    experiment = _experiment(call, experiment_id)
    traces, figures = _figures(call, experiment)
    ordered = order(TRACE_COLUMNS, query.sort, "experiments", experiment.id)
    listed = in_order(traces, ordered)[:_SHOWN]
    values = {"experiment": experiment, "figures": figures, "order": ordered, "traces": listed}
    return View("observing.experiment", values)


def compare(call: Call, query: Compared) -> View:
    """Show the figures of experiments side by side."""
    beside = [(one, _figures(call, one)[1]) for one in (_experiment(call, given) for given in query.id)]
    names = sorted({name for _, figures in beside for name in figures.score})
    return View("observing.compare", {"beside": beside, "names": names})


async def analyze(call: Call, body: Question, experiment_id: str) -> Redirect:
    """Have a model read an experiment's traces."""
    job = await kalmia.begin_analysis(call, AnalysisRequest(question=body.question), experiment_id)
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
    await kalmia.create_behavior(call, BehaviorCreate(label=body.label, description=body.description))
    return Redirect(url("behaviors"))


async def annotate(call: Call, body: NewAnnotation, trace_id: str) -> Redirect:
    """Say that a trace shows a behaviour."""
    given = AnnotationCreate(
        trace_id=trace_id, label=body.label, confidence=body.confidence, notes=body.notes
    )
    await kalmia.create_annotation(call, given)
    return Redirect(url("traces", trace_id, mark="annotations"))


async def detect_in(call: Call, trace_id: str) -> Redirect:
    """Have a model say which behaviours a trace shows."""
    job = await kalmia.begin_detection(call, DetectRequest(trace_ids=[trace_id]))
    return Redirect(url("jobs", job.id))


async def detect(call: Call, body: Newest) -> Redirect:
    """Have a model say which behaviours the newest traces show."""
    ids = call.store.shelf.ids()[: body.count]
    if not ids:
        raise Refusal(422, "there are no traces yet")
    job = await kalmia.begin_detection(call, DetectRequest(trace_ids=ids))
    return Redirect(url("jobs", job.id))


def list_agents(call: Call) -> View:
    """List agents, the newest first."""
    agents = [(agent, call.store.agents.count_runs(agent.id)) for agent in call.store.agents.newest()]
    return View("observing.agents", {"agents": agents})


def show_agent(call: Call, query: After, agent_id: str) -> View:
    """Show an agent: what its evaluations say, and its runs, the newest first."""
    agent, store = agent_of(call.store, agent_id), call.store
    found = store.agents.runs(agent.id, _AGENT_RUNS + 1, query.after)
    runs = [(as_it_stands(store, run), trace_of(store, run)) for run in found[:_AGENT_RUNS]]
    values = {
        "agent": agent,
        "summary": summary_of(call.state.config, store, agent),
        "runs": runs,
        "more": query.after + _AGENT_RUNS if len(found) > _AGENT_RUNS else None,
    }
    return View("observing.agent", values)


def _correlation_ids(call: Call, run_id: str) -> list[str]:
    """Return the correlation ids of a run's traces.

    Raises:
        Refusal: There is no such run (404).
    """
    run = call.workspace.archive.run(run_id)
    if run is None:
        raise Refusal(404, f"there is no run {run_id!r}")
    cases = [case for task in run.tasks for case in call.workspace.archive.cases(run.id, task.task)]
    traces = [sample.trace for case in cases for sample in case.samples]
    return [str(trace.metadata.get("correlationId", trace.id)) for trace in traces]


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
    Page("POST", f"{ROOT}/experiments", Access.WRITE, create_experiment, errors=(404,)),
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
    Page("GET", f"{ROOT}/agents", Access.READ, list_agents),
    Page("GET", f"{ROOT}/agents/{{agent_id}}", Access.READ, show_agent, errors=(404,)),
)
