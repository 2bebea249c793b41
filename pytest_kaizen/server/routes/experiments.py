"""Kalmia's experiments: groups of traces and their figures as they stand."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from starlette.types import ASGIApp

from ... import models
from ...pipeline.figures import figures_of
from ...platforms.kalmia.arrived import shown
from ...platforms.kalmia.wire import Experiment, ExperimentCreate, ExperimentDetail, ExperimentList
from ...store import Store
from ..operation import Access, Call, Operation
from ..problem import Refusal
from .integrations import found_elsewhere


async def create(call: Call, body: ExperimentCreate) -> Experiment | ASGIApp:
    """Group the traces with these correlation ids, which may arrive later."""
    most = call.state.config.server.max_batch
    if len(body.correlation_ids) > most:
        raise Refusal(413, f"{len(body.correlation_ids)} correlation ids; give {most} at most")
    # As those of the traces are kept.
    given = call.state.redactor.apart().data({"name": body.name, "correlation_ids": body.correlation_ids})
    experiment = models.Experiment(**given, created_at=datetime.now(UTC))
    return await call.once(partial(_add, experiment))


def list_experiments(call: Call) -> ExperimentList:
    """List experiments, the newest first."""
    return ExperimentList(experiments=[Experiment.of(known) for known in call.store.experiments.newest()])


def get(call: Call, experiment_id: str) -> ExperimentDetail:
    """Show an experiment with its traces, the newest first, and their figures as they stand.

    Traces that are not here are looked up in the workspace's Braintrust project, where one is set up.
    """
    experiment = call.store.experiments.one(experiment_id)
    if experiment is None:
        raise Refusal(404, f"there is no experiment {experiment_id!r}")
    traces = call.store.experiments.traces(experiment.correlation_ids)
    held = {trace.metadata.get("correlationId", trace.id) for trace in traces}
    missing = [given for given in experiment.correlation_ids if given not in held]
    if elsewhere := found_elsewhere(call, missing):
        traces = sorted([*traces, *elsewhere], key=lambda trace: trace.created_at, reverse=True)
    return ExperimentDetail.of(
        experiment, traces=[shown(trace) for trace in traces], metrics=figures_of(traces)
    )


def _add(experiment: models.Experiment, store: Store) -> Experiment:
    store.experiments.add(experiment)
    return Experiment.of(experiment)


OPERATIONS = (
    Operation("POST", "/api/experiments", Access.WRITE, create, status=201),
    Operation("GET", "/api/experiments", Access.READ, list_experiments),
    Operation("GET", "/api/experiments/{experiment_id}", Access.READ, get, errors=(404,)),
)
