"""Connections to MLflow and LangSmith (Kayba's page) and to Braintrust (Kalmia's), and imports from them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Annotated

from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from ... import models
from ...errors import ConfigError, JobError, PlatformError, UsageError
from ...pipeline.integrations import Project, Source, importing, settings, understood
from ...platforms import RequestModel
from ...platforms.kalmia import BraintrustConfig, TracePage
from ...platforms.kalmia.arrived import shown
from ...platforms.kalmia.trace_wire import KalmiaTrace
from ...platforms.kayba import (
    ImportRequest,
    Integrations,
    IntegrationTest,
    JobStarted,
    LangsmithConfig,
    MlflowConfig,
    SourceProject,
    SourceProjects,
)
from ...store import Store
from ..operation import Access, Call, Operation
from ..problem import Refusal

_BRAINTRUST = "braintrust"
_log = logging.getLogger("pytest_kaizen.server")


class AllIntegrations(Integrations):
    """Kayba's two, and the one that is ours."""

    braintrust: BraintrustConfig


class BraintrustQuery(BaseModel):
    """What may be asked of the list."""

    project: str | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: str | None = None


def list_integrations(call: Call) -> AllIntegrations:
    """Show what is set, the secrets masked."""
    return AllIntegrations.model_validate(
        {name: settings.stored(call.store, name) for name in settings.KNOWN}
    )


async def put_mlflow(call: Call, body: MlflowConfig) -> MlflowConfig:
    """Set up MLflow; what is absent stays, and a secret that is empty or masked does too."""
    await _change(call, "mlflow", body)
    return MlflowConfig.model_validate(settings.stored(call.store, "mlflow"))


async def put_langsmith(call: Call, body: LangsmithConfig) -> LangsmithConfig:
    """Set up LangSmith; what is absent stays, and a secret that is empty or masked does too."""
    await _change(call, "langsmith", body)
    return LangsmithConfig.model_validate(settings.stored(call.store, "langsmith"))


async def put_braintrust(call: Call, body: BraintrustConfig) -> BraintrustConfig:
    """Set up Braintrust; what is absent stays, and a secret that is empty or masked does too."""
    await _change(call, _BRAINTRUST, body)
    return BraintrustConfig.model_validate(settings.stored(call.store, _BRAINTRUST))


async def delete(call: Call, integration: str) -> None:
    """Forget what is set of an integration, its secret too."""
    _require(integration)
    await call.write(partial(settings.forget, name=integration))


def test(call: Call, integration: str) -> IntegrationTest:
    """Try a connection."""
    _require(integration)
    return settings.tested(
        call.store, integration, allow_private=call.state.config.server.allow_private_hosts
    )


def list_projects(call: Call, integration: str) -> SourceProjects:
    """List the experiments or projects there."""
    with _asked(call, integration) as source:
        return SourceProjects(projects=[SourceProject(id=one.id, name=one.name) for one in source.projects()])


async def start_import(call: Call, integration: str, body: ImportRequest) -> JobStarted | ASGIApp:
    """Start a job that imports traces; importing twice makes nothing double."""
    _require(integration)
    wanted = await run_in_threadpool(_planned, call, integration, body)
    answer = await call.once(partial(_start, wanted))
    call.state.worker.begin(call.workspace.id)
    return answer


def list_braintrust(call: Call, query: BraintrustQuery) -> TracePage:
    """List the traces of the Braintrust project, the last written first."""
    with _asked(call, _BRAINTRUST) as source:
        project = _project(call, source, query.project)
        page = source.page(project, since=None, cursor=query.cursor, size=query.limit)
    redactor = call.state.redactor.apart()
    traces = [shown(redactor.trace(trace)) for trace in page.traces]
    return TracePage(traces=traces, next_cursor=page.cursor)


def get_braintrust(call: Call, trace_id: str) -> KalmiaTrace:
    """Show a trace of the Braintrust project with all its spans."""
    with _asked(call, _BRAINTRUST) as source:
        found = _braintrust_traces(call, source, [trace_id])
    trace = next((trace for trace in found if trace.id == trace_id), None)
    if trace is None:
        raise Refusal(404, f"there is no trace {trace_id!r}")
    return shown(trace)


async def found_elsewhere(call: Call, ids: Collection[str]) -> list[models.Trace]:
    """Return traces by their ids or correlation ids from the Braintrust project, where one is set up.

    Where it cannot be asked there are none; the log says why.
    """
    if not ids or not await run_in_threadpool(_has_braintrust, call):
        return []
    try:
        return await call.elsewhere(partial(_found_in_braintrust, call, ids))
    except Refusal as exc:
        _log.warning("experiments: %s", exc.detail)
        return []


def _has_braintrust(call: Call) -> bool:
    config = settings.stored(call.store, _BRAINTRUST)
    return config.enabled is not False and bool(config.api_key and config.project_name)


def _found_in_braintrust(call: Call, ids: Collection[str]) -> list[models.Trace]:
    with _asked(call, _BRAINTRUST) as source:
        return _braintrust_traces(call, source, ids)


def _braintrust_traces(call: Call, source: Source, ids: Collection[str]) -> list[models.Trace]:
    from ...pipeline.integrations.hosted import Braintrust

    assert isinstance(source, Braintrust)
    redactor = call.state.redactor.apart()
    return [redactor.trace(trace) for trace in source.traces(_project(call, source, None), ids)]


@contextmanager
def _asked(call: Call, name: str) -> Iterator[Source]:
    """Open a source for the length of a block.

    Raises:
        Refusal: There is none (404), it is not set up (422), it does not answer as it must (424), or
            this server has no key to decrypt its secret with (503).
    """
    _require(name)
    state = call.state
    try:
        source = settings.connect(
            call.store,
            name,
            allow_private=state.config.server.allow_private_hosts,
            price=state.price,
            attempts=1,
        )
        with closing(source), understood(name):
            yield source
    except ConfigError as exc:
        raise Refusal.of_secret_key(exc) from None
    except UsageError as exc:
        raise Refusal(422, str(exc), code="INVALID") from None
    except PlatformError as exc:
        raise Refusal(424, str(exc), code="SOURCE_FAILED") from None


def _project(call: Call, source: Source, given: str | None) -> Project:
    name = settings.project_of(call.store, _BRAINTRUST, given)
    found = source.project(name)
    if found is None:
        raise Refusal(404, f"{_BRAINTRUST} has no project {name!r}")
    return found


def _require(name: str) -> None:
    if name not in settings.KNOWN:
        raise Refusal(404, f"there is no integration {name!r}; there are {', '.join(settings.KNOWN)}")


async def _change(call: Call, name: str, body: RequestModel) -> None:
    try:
        await call.write(partial(settings.change, name=name, given=body))
    except UsageError as exc:
        raise Refusal(422, str(exc), code="INVALID") from None


def _planned(call: Call, name: str, body: ImportRequest) -> importing.Import:
    try:
        return importing.planned(call.store, name, body.project, body.since, body.limit)
    except UsageError as exc:
        raise Refusal(422, str(exc), code="INVALID") from None


def _start(wanted: importing.Import, store: Store) -> JobStarted:
    try:
        return JobStarted(job_id=importing.create(store, wanted).id)
    except JobError:
        raise Refusal(409, f"an import from {wanted.name} is under way; wait for that job") from None


OPERATIONS = (
    Operation("GET", "/api/integrations", Access.READ, list_integrations),
    Operation("PUT", "/api/integrations/mlflow", Access.WRITE, put_mlflow, errors=(503,)),
    Operation("PUT", "/api/integrations/langsmith", Access.WRITE, put_langsmith, errors=(503,)),
    Operation("PUT", "/api/integrations/braintrust", Access.WRITE, put_braintrust, errors=(503,)),
    Operation("DELETE", "/api/integrations/{integration}", Access.WRITE, delete, status=204, errors=(404,)),
    Operation("POST", "/api/integrations/{integration}/test", Access.WRITE, test, errors=(404,), asks=True),
    Operation(
        "GET",
        "/api/integrations/{integration}/projects",
        Access.READ,
        list_projects,
        errors=(404, 422, 424, 503),
        asks=True,
    ),
    Operation(
        "POST", "/api/integrations/{integration}/import", Access.WRITE, start_import, errors=(404, 409)
    ),
    Operation(
        "GET", "/api/braintrust/traces", Access.READ, list_braintrust, errors=(404, 424, 503), asks=True
    ),
    Operation(
        "GET",
        "/api/braintrust/traces/{trace_id}",
        Access.READ,
        get_braintrust,
        errors=(404, 422, 424, 503),
        asks=True,
    ),
)
