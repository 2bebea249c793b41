"""Clients of Kayba.

Answers are returned as the dictionaries that the platform sends, with its camelCase keys, after a
check against the models beside it: ``client.get_job(job["jobId"])["status"]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ...errors import KaybaAPIError
from .. import Failure, Reason, WireModel, error_text, kayba
from ..client import AsyncClient, PlatformClient, SyncClient, Twin

if TYPE_CHECKING:
    import httpx

    from .. import Timeouts

_CODES = {
    Reason.NO_KEY: "AUTH_MISSING",
    Reason.NOT_SENT: "INVALID_REQUEST",
    Reason.CONNECTION: "CONNECTION_ERROR",
    Reason.TIMEOUT: "TIMEOUT",
    Reason.NOT_JSON: "HTTP_ERROR",
}
_INTEGRATIONS: dict[str, type[WireModel]] = {
    "mlflow": kayba.MlflowConfig,
    "langsmith": kayba.LangsmithConfig,
    # Only `kaizen serve` has it, with the same settings.
    "braintrust": kayba.LangsmithConfig,
}


class KaybaCalls(PlatformClient):
    """The calls of Kayba, which both of its clients have."""

    platform = "Kayba"
    key_variable = "KAYBA_API_KEY"
    url_variable = "KAYBA_API_URL"
    default_url = "https://use.kayba.ai/api"
    key_header = ("Authorization", "Bearer")

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float | Timeouts = 60.0,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(api_key, base_url, timeout, transport)

    @Twin
    async def list_traces(self) -> dict[str, Any]:
        """Return ``{"traces": […]}``, each trace without its content.

        Raises:
            KaybaAPIError: The call failed.
        """
        return await self._json("GET", "/traces", reads=kayba.TraceMetas)

    @Twin
    async def upload_traces(self, traces: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Upload trace files and return ``{"count", "traces": […]}``; a file sent twice is there twice.

        Args:
            traces: ``{"filename", "content", "fileType": "md" | "json" | "txt"}`` each.

        Raises:
            KaybaAPIError: The call failed.
        """
        body = self._body(kayba.UploadRequest, traces=list(traces))
        return await self._json("POST", "/traces", body=body, reads=kayba.Uploaded, once=True)

    @Twin
    async def get_trace(self, trace_id: str) -> dict[str, Any]:
        """Return a trace with its content.

        Raises:
            KaybaAPIError: The call failed.
        """
        return await self._json("GET", self._path("/traces/{}", trace_id), reads=kayba.TraceFile)

    @Twin
    async def get_traces(self, trace_ids: Sequence[str]) -> dict[str, Any]:
        """Return ``{"traces": […]}``, each trace with its content.

        Raises:
            KaybaAPIError: The call failed.
        """
        body = self._body(kayba.BatchRequest, ids=list(trace_ids))
        return await self._json("POST", "/traces/batch", body=body, reads=kayba.TraceFiles)

    @Twin
    async def delete_trace(self, trace_id: str) -> dict[str, Any]:
        """Delete a trace and return ``{}``.

        Raises:
            KaybaAPIError: The call failed.
        """
        return await self._delete(trace_id)

    @Twin
    async def delete_traces(self, trace_ids: Sequence[str]) -> dict[str, Any]:
        """Delete traces one by one and return ``{"deleted": […], "errors": [{"id", "error"}, …]}``."""
        deleted: list[str] = []
        errors: list[dict[str, str]] = []
        for trace_id in trace_ids:
            try:
                await self._delete(trace_id)
            except KaybaAPIError as exc:
                errors.append({"id": trace_id, "error": exc.message})
            else:
                deleted.append(trace_id)
        return {"deleted": deleted, "errors": errors}

    @Twin
    async def generate_insights(
        self,
        trace_ids: Sequence[str] | None = None,
        model: str | None = None,
        epochs: int | None = None,
        reflector_mode: str | None = None,
        anthropic_key: str | None = None,
    ) -> dict[str, Any]:
        """Start to draw insights from traces, which costs money, and return ``{"jobId"}``.

        Args:
            trace_ids: The traces; None for all.
            model: ``claude-sonnet-4-6`` or ``claude-opus-4-6``.
            epochs: Passes over the traces; the platform's default is 1.
            reflector_mode: ``recursive`` or ``standard``.
            anthropic_key: A key for the model calls, which the platform makes.

        Raises:
            KaybaAPIError: The call failed.
        """
        body = self._body(
            kayba.GenerateInsights,
            trace_ids=None if trace_ids is None else list(trace_ids),
            model=model,
            epochs=epochs,
            reflector_mode=reflector_mode,
            anthropic_api_key=anthropic_key,
        )
        path = "/insights/generate"
        return await self._json("POST", path, body=body, reads=kayba.JobStarted, once=True)

    @Twin
    async def list_insights(self, status: str | None = None, section: str | None = None) -> dict[str, Any]:
        """Return ``{"insights": […]}``.

        Args:
            status: ``pending`` or ``new`` (not yet triaged), ``accepted`` or ``rejected``; None for all.
            section: Those of this section alone.

        Raises:
            KaybaAPIError: The call failed.
        """
        params = {"status": status, "section": section}
        return await self._json("GET", "/insights", params=params, reads=kayba.Insights)

    @Twin
    async def triage_insight(self, insight_id: str, status: str, note: str | None = None) -> dict[str, Any]:
        """Accept or reject an insight and return it.

        Args:
            insight_id: The insight.
            status: ``accepted`` or ``rejected``.
            note: Why.

        Raises:
            KaybaAPIError: The call failed.
        """
        path = self._path("/insights/{}", insight_id)
        body = self._body(kayba.Triage, status=status, note=note)
        return await self._json("PATCH", path, body=body, reads=kayba.Insight)

    @Twin
    async def get_job(self, job_id: str) -> dict[str, Any]:
        """Return ``{"jobId", "status", …}``; the statuses ``completed`` and ``failed`` are final.

        Raises:
            KaybaAPIError: The call failed.
        """
        return await self._json("GET", self._path("/jobs/{}", job_id), reads=kayba.Job)

    @Twin
    async def list_jobs(
        self, task: str | None = None, kind: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Return jobs as ``get_job`` does, newest first; only `kaizen serve` lists them.

        Args:
            task: Those for this task.
            kind: Those of this kind: ``insights``, ``optimize`` and others.
            limit: The most to return.

        Raises:
            KaybaAPIError: The call failed.
        """
        params = {"task": task, "kind": kind, "limit": limit}
        _, jobs = self._read(await self._send("GET", "/jobs", params=params), kayba.Jobs)
        found: list[dict[str, Any]] = jobs
        return found

    @Twin
    async def cancel_job(self, job_id: str) -> dict[str, Any]:
        """Stop a job at its next step, and return it as ``get_job`` does; only `kaizen serve` does that.

        Raises:
            KaybaAPIError: The call failed.
        """
        return await self._json("POST", self._path("/jobs/{}/cancel", job_id), reads=kayba.Job)

    @Twin
    async def materialize_job(self, job_id: str) -> dict[str, Any]:
        """Write a job's skills into the skillbook and return ``{"jobId", "skillsGenerated"}``.

        Raises:
            KaybaAPIError: The call failed.
        """
        return await self._json("POST", self._path("/jobs/{}", job_id), reads=kayba.Materialized)

    @Twin
    async def generate_prompt(
        self, insight_ids: Sequence[str] | None = None, label: str | None = None, task: str | None = None
    ) -> dict[str, Any]:
        """Make a prompt from insights and return ``{"promptId", "version", "content": {"text"}, …}``.

        Args:
            insight_ids: The insights; None for all that are accepted.
            label: A name for the version.
            task: The task that it is for; only `kaizen serve` knows tasks.

        Raises:
            KaybaAPIError: The call failed.
        """
        ids = None if insight_ids is None else list(insight_ids)
        body = self._body(kayba.GeneratePrompt, insight_ids=ids, label=label)
        call = {"params": {"task": task}, "body": body, "once": True}
        return await self._json("POST", "/prompts/generate", reads=kayba.GeneratedPrompt, **call)

    @Twin
    async def list_prompts(self, task: str | None = None) -> list[dict[str, Any]]:
        """Return the prompts without their texts, newest first.

        Args:
            task: Those of this task; only `kaizen serve` knows tasks.

        Raises:
            KaybaAPIError: The call failed.
        """
        _, raw = self._read(await self._send("GET", "/prompts", params={"task": task}), kayba.Prompts)
        prompts: list[dict[str, Any]] = raw if isinstance(raw, list) else raw["prompts"]
        return prompts

    @Twin
    async def get_prompt(self, prompt_id: str) -> dict[str, Any]:
        """Return ``{"id", "version", "label", "content": {"text"}}``.

        Raises:
            KaybaAPIError: The call failed.
        """
        return await self._json("GET", self._path("/prompts/{}", prompt_id), reads=kayba.Prompt)

    @Twin
    async def get_integrations(self) -> dict[str, Any]:
        """Return ``{"mlflow": {…}, "langsmith": {…}}``, with their secrets masked.

        Raises:
            KaybaAPIError: The call failed.
        """
        return await self._json("GET", "/integrations", reads=kayba.Integrations)

    @Twin
    async def update_integration(self, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """Store the settings of an integration and return them, with their secrets masked.

        Args:
            name: ``mlflow`` or ``langsmith``; on `kaizen serve` also ``braintrust``.
            config: Its settings, with the keys of ``MlflowConfig`` or ``LangsmithConfig``.

        Raises:
            KaybaAPIError: The call failed.
        """
        model = _INTEGRATIONS.get(name)
        if model is None:
            known = ", ".join(_INTEGRATIONS)
            raise self._not_sent(f"expected one of the integrations {known} (found {name!r})")
        body = self._body(model, **config)
        path = self._path("/integrations/{}", name)
        return await self._json("PUT", path, body=body, reads=model)

    @Twin
    async def test_integration(self, name: str) -> dict[str, Any]:
        """Try an integration's connection and return ``{"connected", "error"?, …}``.

        Raises:
            KaybaAPIError: The call failed.
        """
        path = self._path("/integrations/{}/test", name)
        return await self._json("POST", path, reads=kayba.IntegrationTest)

    @Twin
    async def forget_integration(self, name: str) -> dict[str, Any]:
        """Delete what is set of an integration, its secret too; only `kaizen serve` does that.

        Raises:
            KaybaAPIError: The call failed.
        """
        return await self._json("DELETE", self._path("/integrations/{}", name), reads=kayba.Empty)

    @Twin
    async def list_projects(self, name: str) -> dict[str, Any]:
        """Return ``{"projects": [{"id", "name"}, …]}`` of an integration; only `kaizen serve` does that.

        Raises:
            KaybaAPIError: The call failed; 424 where the integration does not answer.
        """
        path = self._path("/integrations/{}/projects", name)
        return await self._json("GET", path, reads=kayba.SourceProjects)

    @Twin
    async def import_traces(
        self, name: str, project: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> dict[str, Any]:
        """Start an import of traces and return ``{"jobId"}``; only `kaizen serve` does that.

        Args:
            name: The integration.
            project: The project or experiment; None for the one that is set.
            since: Only traces begun since then; without a zone in UTC.
            limit: At most so many, the newest.

        Raises:
            KaybaAPIError: The call failed; 409 while another import from there is under way.
        """
        path = self._path("/integrations/{}/import", name)
        body = self._body(kayba.ImportRequest, project=project, since=since, limit=limit)
        return await self._json("POST", path, body=body, reads=kayba.JobStarted, once=True)

    async def _delete(self, trace_id: str) -> dict[str, Any]:
        return await self._json("DELETE", self._path("/traces/{}", trace_id), reads=kayba.Empty)

    async def _json(self, method: str, path: str, *, reads: type[BaseModel], **call: Any) -> dict[str, Any]:
        """Make a call, check its answer and return it as it came."""
        _, raw = self._read(await self._send(method, path, **call), reads)
        answer: dict[str, Any] = raw
        return answer

    def _error(self, failure: Failure) -> KaybaAPIError:
        error = failure.body.get("error") if isinstance(failure.body, dict) else None
        if failure.reason is not Reason.STATUS:
            code = _CODES[failure.reason]
        elif failure.body is None:
            code = "HTTP_ERROR"
        elif isinstance(error, str):
            code = "API_ERROR"
        else:
            code = str((isinstance(error, dict) and error.get("code")) or "UNKNOWN")
        return KaybaAPIError(
            code,
            error_text(failure.body) or failure.message,
            failure.status_code,
            error,
            transient=failure.transient,
            retry_after=failure.retry_after,
        )


class KaybaClient(SyncClient, KaybaCalls):
    """Client of Kayba; a context manager that closes its connections.

    Args:
        api_key: The key; ``KAYBA_API_KEY`` when not given.
        base_url: With ``/api`` at its end; ``KAYBA_API_URL`` when not given, else
            ``https://use.kayba.ai/api``.
        timeout: Seconds that a call may take in all, or ``Timeouts``.
        transport: How requests travel, for a proxy or certificates of your own.

    Raises:
        KaybaAPIError: There is no key (``AUTH_MISSING``); before any request.
    """


class AsyncKaybaClient(AsyncClient, KaybaCalls):
    """The same client with methods that are awaited, under asyncio or trio; see ``KaybaClient``."""
