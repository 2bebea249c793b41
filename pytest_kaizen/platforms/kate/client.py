"""Client of Kate."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import BaseModel

from ...errors import KateError
from .. import Failure, kate
from ..client import AsyncClient

if TYPE_CHECKING:
    from uuid import UUID

    from .. import Timeouts

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class KateClient(AsyncClient):
    """Client of Kate, whose methods are awaited, under asyncio or trio; an asynchronous context manager.

    Args:
        api_key: The key; ``KATE_API_KEY`` when not given.
        base_url: The server; ``KATE_API_URL`` when not given, else ``https://api.projectkate.com``.
            Only a server on this machine may be spoken to without TLS.
        agent_id: The agent of calls that name none; ``KATE_AGENT_ID`` when not given.
        timeout: Seconds that a call may take in all, or ``Timeouts``.
        transport: How requests travel, for a proxy or certificates of your own.

    Attributes:
        runs: An agent's runs and their spans.
        agents: The agents.
        evals: What the evaluation of an agent's runs says.

    Raises:
        KateError: There is no key, or the URL is not allowed; before any request.
    """

    platform = "Kate"
    key_variable = "KATE_API_KEY"
    url_variable = "KATE_API_URL"
    default_url = "https://api.projectkate.com"

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        agent_id: str | None = None,
        timeout: float | Timeouts = 30.0,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(api_key, base_url, timeout, transport)
        url = httpx.URL(self.base_url)
        if url.scheme == "http" and url.host not in _LOOPBACK:
            raise self._not_sent(
                f"{self.base_url} would carry the key in the clear; use https:// (http:// is for localhost)"
            )
        self._agent_id = agent_id or os.environ.get("KATE_AGENT_ID")
        self.runs = Runs(self)
        self.agents = Agents(self)
        self.evals = Evals(self)

    def _agent_path(self, template: str, agent_id: str | None, *ids: object) -> str:
        agent = agent_id or self._agent_id
        if not agent:
            raise self._not_sent("no agent: give agent_id, or set KATE_AGENT_ID in the environment")
        return self._path(template, agent, *ids)

    def _error(self, failure: Failure) -> KateError:
        body = failure.body
        return KateError(
            failure.message,
            failure.status_code,
            body.get("detail", body) if isinstance(body, dict) else body,
            transient=failure.transient,
            retry_after=failure.retry_after,
        )


class Runs:
    """``client.runs``: the runs of an agent, and their spans."""

    def __init__(self, client: KateClient) -> None:
        self._client = client

    async def list(self, agent_id: str | None = None, limit: int = 5, offset: int = 0) -> list[kate.Run]:
        """Return runs, newest first.

        Args:
            agent_id: The agent; the client's own when not given.
            limit: The most to return.
            offset: How many to pass over.

        Raises:
            KateError: The call failed.
        """
        path = self._client._agent_path("/agents/{}/runs", agent_id)
        params = {"limit": limit, "offset": offset}
        return (await self._client._ask("GET", path, params=params, reads=kate.RunList)).runs

    async def create(
        self, agent_id: str | None = None, trigger: kate.Trigger = "manual", run_id: UUID | str | None = None
    ) -> kate.Run:
        """Begin a run, which then takes spans until it is completed.

        Args:
            agent_id: The agent; the client's own when not given.
            trigger: ``manual``, ``automatic`` or ``test``.
            run_id: A UUID for the run; Kate's choice when not given.

        Raises:
            KateError: The call failed.
        """
        path = self._client._agent_path("/agents/{}/runs", agent_id)
        body = self._client._body(kate.RunCreate, trigger=trigger, run_id=run_id)
        return await self._client._ask("POST", path, body=body, reads=kate.Run, once=True)

    async def get(self, agent_id: str | None = None, *, run_id: UUID | str) -> kate.Run:
        """Return a run as it stands.

        Raises:
            KateError: The call failed.
        """
        path = self._client._agent_path("/agents/{}/runs/{}", agent_id, run_id)
        return await self._client._ask("GET", path, reads=kate.Run)

    async def complete(self, agent_id: str | None = None, *, run_id: UUID | str) -> kate.Run:
        """End a run; Kate then evaluates it, unless she did so just before.

        It is not sent again by itself: a run that has ended may refuse to end once more.

        Raises:
            KateError: The call failed.
        """
        path = self._client._agent_path("/agents/{}/runs/{}/complete", agent_id, run_id)
        return await self._client._ask("POST", path, reads=kate.Run, once=True)

    async def spans(self, agent_id: str | None = None, *, run_id: UUID | str) -> kate.SpanList:
        """Return a run's spans and how many there are.

        Raises:
            KateError: The call failed.
        """
        path = self._client._agent_path("/agents/{}/runs/{}/spans", agent_id, run_id)
        return await self._client._ask("GET", path, reads=kate.SpanList)

    async def upload_spans(
        self,
        agent_id: str | None = None,
        *,
        run_id: UUID | str,
        spans: Sequence[kate.NewSpan | Mapping[str, Any]],
    ) -> kate.SpansUploaded:
        """Add spans to a run that has not ended; Kate takes 60 such requests a minute.

        Spans sent twice are there twice: read the run's spans before sending them again.

        Args:
            agent_id: The agent; the client's own when not given.
            run_id: The run.
            spans: Each as a model, or as the mapping that Kate documents.

        Raises:
            KateError: The call failed; 409 when the run has ended.
        """
        path = self._client._agent_path("/agents/{}/runs/{}/spans", agent_id, run_id)
        body = self._client._body(kate.SpanUpload, spans=[_plain(span) for span in spans])
        return await self._client._ask("POST", path, body=body, reads=kate.SpansUploaded, once=True)

    async def enqueue(
        self, agent_id: str | None = None, trigger: kate.Trigger = "manual", *, user_input: str
    ) -> kate.Enqueued:
        """Have an agent run that Kate hosts, which costs money.

        Args:
            agent_id: The agent; the client's own when not given.
            trigger: ``manual``, ``automatic`` or ``test``.
            user_input: What the agent is asked.

        Raises:
            KateError: The call failed.
        """
        path = self._client._agent_path("/agents/{}/runs/enqueue", agent_id)
        body = self._client._body(kate.Enqueue, trigger=trigger, user_input=user_input)
        return await self._client._ask("POST", path, body=body, reads=kate.Enqueued, once=True)


class Agents:
    """``client.agents``: the agents."""

    def __init__(self, client: KateClient) -> None:
        self._client = client

    async def list(self) -> list[kate.Agent]:
        """Return all agents.

        Raises:
            KateError: The call failed.
        """
        return (await self._client._ask("GET", "/agents", reads=kate.AgentList)).root

    async def get(self, agent_id: str | None = None) -> kate.Agent:
        """Return an agent; the client's own when none is given.

        Raises:
            KateError: The call failed.
        """
        path = self._client._agent_path("/agents/{}", agent_id)
        return await self._client._ask("GET", path, reads=kate.Agent)

    async def create(self, name: str, domain: str = "general", objective: str | None = None) -> kate.Agent:
        """Make an agent.

        Raises:
            KateError: The call failed.
        """
        body = self._client._body(kate.AgentCreate, name=name, domain=domain, objective=objective)
        return await self._client._ask("POST", "/agents", body=body, reads=kate.Agent, once=True)

    async def update(
        self,
        agent_id: str | None = None,
        *,
        name: str | None = None,
        domain: str | None = None,
        objective: str | None = None,
    ) -> kate.Agent:
        """Change an agent; what is None stays.

        Raises:
            KateError: The call failed.
        """
        path = self._client._agent_path("/agents/{}", agent_id)
        body = self._client._body(kate.AgentUpdate, name=name, domain=domain, objective=objective)
        return await self._client._ask("PATCH", path, body=body, reads=kate.Agent)

    async def delete(self, agent_id: str) -> None:
        """Delete an agent, which is always named.

        Raises:
            KateError: The call failed.
        """
        await self._client._ask("DELETE", self._client._path("/agents/{}", agent_id), reads=kate.Empty)


class Evals:
    """``client.evals``: what the evaluation of an agent's runs says."""

    def __init__(self, client: KateClient) -> None:
        self._client = client

    async def summary(self, agent_id: str | None = None) -> kate.EvalSummary:
        """Return the summary over an agent's runs.

        Raises:
            KateError: The call failed.
        """
        path = self._client._agent_path("/agents/{}/eval/summary", agent_id)
        return await self._client._ask("GET", path, reads=kate.EvalSummary)


def _plain(span: kate.NewSpan | Mapping[str, Any]) -> Any:
    return span.to_json() if isinstance(span, BaseModel) else span
