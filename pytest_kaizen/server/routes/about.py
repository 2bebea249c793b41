"""Operations about the server itself."""

from __future__ import annotations

from starlette.responses import Response

from ...platforms.base.wire import Health
from .. import metrics
from ..operation import Access, Call, Operation


async def health(call: Call) -> Health:
    """Say that the server answers."""
    return Health()


def ready(call: Call) -> Health:
    """Say that the server can read its store; 503 while it cannot."""
    call.state.workspaces.central.workspaces()
    return Health(status="ready")


async def figures(call: Call) -> Response:
    """Return the server's figures for Prometheus."""
    return Response(call.state.metrics.text(), media_type=metrics.MEDIA_TYPE)


def document(call: Call) -> Response:
    """Return this document."""
    return Response(call.state.openapi, media_type="application/json")


OPERATIONS = (
    Operation("GET", "/health", Access.PUBLIC, health),
    Operation("GET", "/ready", Access.PUBLIC, ready, errors=(503,)),
    Operation("GET", "/metrics", Access.LOCAL, figures, writes=("text/plain",)),
    Operation("GET", "/openapi.json", Access.PUBLIC, document),
)
