"""The two paths of Kalmia's page that pass requests on to model providers."""

from __future__ import annotations

from starlette.types import ASGIApp

from ...config import Endpoint
from ..operation import Access, Call, KeyHeader, Operation

_ANTHROPIC = Endpoint(api="anthropic.messages", path="/v1/messages")
_OPENAI = Endpoint(api="openai.chat", path="/chat/completions")
_ERRORS = (502, 504)
_WRITES = ("application/json", "text/event-stream")


async def messages(call: Call, body: bytes) -> ASGIApp:
    """Pass a request on to Anthropic's Messages API and its answer back, and keep a trace."""
    return await _forward(call, body, _ANTHROPIC, call.state.config.server.anthropic_url)


async def chat_completions(call: Call, body: bytes) -> ASGIApp:
    """Pass a request on to OpenAI's Chat Completions API and its answer back, and keep a trace."""
    return await _forward(call, body, _OPENAI, call.state.config.server.openai_url)


async def _forward(call: Call, body: bytes, endpoint: Endpoint, base: str) -> ASGIApp:
    return await call.state.proxy.forward(
        call.workspace,
        endpoint,
        base.rstrip("/") + endpoint.path,
        query=call.scope["query_string"].decode("latin-1"),
        headers=call.headers,
        content=body,
    )


OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/messages",
        Access.WRITE,
        messages,
        key=KeyHeader.OWN,
        errors=_ERRORS,
        writes=_WRITES,
    ),
    Operation(
        "POST",
        "/api/v1/chat/completions",
        Access.WRITE,
        chat_completions,
        key=KeyHeader.OWN,
        errors=_ERRORS,
        writes=_WRITES,
    ),
)
