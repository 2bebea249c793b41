"""Clients of Kaizen CT."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..client import AsyncClient, SyncClient, Twin
from . import (
    ActivateRequest,
    Empty,
    FeedbackCreate,
    FeedbackList,
    FeedbackResult,
    Job,
    OptimizeResult,
    Prompt,
    PromptList,
    ScoreRequest,
    SeedResult,
    TraceCreate,
    TraceResult,
)
from .keys import KeyCalls
from .task_wire import Task, TaskCreate, TaskList

if TYPE_CHECKING:
    import httpx

    from .. import Timeouts

#: Tasks in one answer, the most that a server gives.
_PAGE = 200


class CTCalls(KeyCalls):
    """The calls of Kaizen CT, which both of its clients have."""

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        cache_ttl: float = 300.0,
        timeout: float | Timeouts = 30.0,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(api_key, base_url, timeout, transport)
        self._cache_ttl = cache_ttl
        self._cache: dict[str, tuple[float, Prompt]] = {}
        self._activations = 0

    @Twin
    async def log_feedback(
        self,
        task_id: str,
        inputs: dict[str, Any] | None = None,
        output: str | None = None,
        score: float | None = None,
        source: str = "sdk",
        metadata: dict[str, Any] | None = None,
    ) -> FeedbackResult:
        """Store one entry of feedback, what an optimisation learns from.

        Args:
            task_id: The task's UUID; a server of ours takes its name too.
            inputs: The variables of the prompt.
            output: What the model made of them.
            score: In [0, 1]; None for "not scored".
            source: Where the score comes from.
            metadata: Anything else that JSON can hold.

        Raises:
            CTError: The feedback was not stored.
        """
        body = self._body(
            FeedbackCreate,
            task_id=task_id,
            inputs=inputs,
            output=output,
            score=score,
            source=source,
            metadata=metadata,
        )
        return await self._ask("POST", "/api/v1/feedback", body=body, reads=FeedbackResult)

    @Twin
    async def get_prompt(self, task_id: str) -> Prompt:
        """Return the active prompt of a task; within ``cache_ttl`` seconds, the one returned before.

        Raises:
            CTNotFoundError: There is no such task, or none of its prompts is active.
            CTError: The call failed.
        """
        expires, prompt = self._cache.get(task_id, (0.0, None))
        if prompt is None or time.monotonic() >= expires:
            path = self._path("/api/v1/prompts/{}", task_id)
            activations = self._activations
            prompt = await self._ask("GET", path, reads=Prompt)
            # One that was on its way while another version was activated may be the one before.
            if activations == self._activations:
                self._cache[task_id] = (time.monotonic() + self._cache_ttl, prompt)
        return prompt

    @Twin
    async def activate_prompt(self, task_id: str, version_id: str) -> Prompt:
        """Make a version the active one and forget the cached prompt of its task.

        Raises:
            CTError: The call failed.
        """
        path = self._path("/api/v1/prompts/{}/activate", task_id)
        body = self._body(ActivateRequest, version_id=str(version_id))
        try:
            prompt = await self._ask("POST", path, body=body, reads=Prompt)
        finally:
            # Also after a failure: the server may have done it before the connection broke.
            self._activations += 1
            self._cache.pop(task_id, None)
        # The same task may be cached under its name.
        for key in [key for key, (_, known) in self._cache.items() if known.task_id == prompt.task_id]:
            del self._cache[key]
        return prompt

    @Twin
    async def trigger_optimization(self, task_id: str) -> OptimizeResult:
        """Start an optimisation, which costs money; return its job and an estimate of the cost.

        Raises:
            CTError: It was not started; 409 while another one is active, 400 without feedback.
        """
        path = self._path("/api/v1/optimize/{}", task_id)
        return await self._ask("POST", path, reads=OptimizeResult, once=True)

    @Twin
    async def get_job(self, job_id: str) -> Job:
        """Return how an optimisation stands.

        Raises:
            CTNotFoundError: There is no such job.
            CTError: The call failed.
        """
        return await self._ask("GET", self._path("/api/v1/jobs/{}", job_id), reads=Job)

    @Twin
    async def retry_pr(self, job_id: str) -> Job:
        """Try again to open an optimisation's pull request, after that failed.

        Raises:
            CTError: The call failed; 409 for a job that is not ``PR_FAILED``.
        """
        return await self._ask("POST", self._path("/api/v1/jobs/{}/retry-pr", job_id), reads=Job, once=True)

    @Twin
    async def create_pr(self, job_id: str) -> Job:
        """Open the pull request that an optimisation has a preview of.

        Raises:
            CTError: The call failed; 409 for a job without a preview.
        """
        return await self._ask("POST", self._path("/api/v1/jobs/{}/create-pr", job_id), reads=Job, once=True)

    @Twin
    async def list_tasks(self) -> list[Task]:
        """Return all tasks, however many pages of them there are.

        Raises:
            CTError: A call failed.
        """
        found: dict[UUID, Task] = {}
        params: dict[str, object] = {"limit": _PAGE}
        while True:
            page = (await self._ask("GET", "/api/v1/tasks", params=params, reads=TaskList)).root
            fresh = {task.id: task for task in page if task.id not in found}
            found |= fresh
            # A server that knows no cursor answers with the same page.
            if len(page) < _PAGE or not fresh:
                return list(found.values())
            params["cursor"] = str(page[-1].id)

    @Twin
    async def create_task(
        self,
        /,
        name: str,
        description: str | None = None,
        schema_json: dict[str, Any] | None = None,
        feedback_threshold: int = 50,
        **kwargs: Any,
    ) -> Task:
        """Make a task.

        Args:
            name: Its name, which no other task has.
            description: What it is for.
            schema_json: A JSON schema of its inputs.
            feedback_threshold: Entries of feedback after which an optimisation starts by itself.
            kwargs: Further fields of a task, ``teacher_model`` for instance. None is left out.

        Raises:
            CTError: It was not made; 409 when the name is taken.
        """
        body = self._body(
            TaskCreate,
            **{name: value for name, value in kwargs.items() if value is not None},
            name=name,
            description=description,
            schema_json=schema_json,
            feedback_threshold=feedback_threshold,
        )
        return await self._ask("POST", "/api/v1/tasks", body=body, reads=Task)

    @Twin
    async def get_task(self, task_id: str) -> Task:
        """Return a task by its id; a server of ours takes its name too.

        Raises:
            CTNotFoundError: There is no such task.
            CTError: The call failed.
        """
        return await self._ask("GET", self._path("/api/v1/tasks/{}", task_id), reads=Task)

    @Twin
    async def delete_task(self, task_id: str) -> None:
        """Delete a task with its feedback.

        Raises:
            CTError: The call failed.
        """
        await self._ask("DELETE", self._path("/api/v1/tasks/{}", task_id), reads=Empty)

    @Twin
    async def seed_task(
        self, task_id: str, content: str | bytes, filename: str = "seeds.jsonl"
    ) -> SeedResult:
        """Give a task examples, which its first search learns from.

        Args:
            task_id: The task.
            content: A JSON object on each line: ``inputs``, and ``output``, ``score``, ``metadata``.
            filename: What the file is called.

        Raises:
            CTNotFoundError: There is no such task.
            CTError: The call failed. A line that is wrong is named in the answer, and the others are kept.
        """
        path = self._path("/api/v1/tasks/{}/seed", task_id)
        data = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
        return await self._ask("POST", path, file=(filename, data), reads=SeedResult, once=True)

    @Twin
    async def list_feedback(self, task_id: str, limit: int = 50, offset: int = 0) -> list[FeedbackResult]:
        """Return the feedback of a task, newest first.

        Args:
            task_id: The task.
            limit: The most to return.
            offset: How many to pass over.

        Raises:
            CTError: The call failed.
        """
        params = {"task_id": task_id, "limit": limit, "offset": offset}
        return (await self._ask("GET", "/api/v1/feedback", params=params, reads=FeedbackList)).root

    @Twin
    async def list_versions(self, task_id: str) -> list[Prompt]:
        """Return the versions of a task's prompt, newest first.

        Raises:
            CTError: The call failed.
        """
        path = self._path("/api/v1/prompts/{}/versions", task_id)
        return (await self._ask("GET", path, reads=PromptList)).root

    @Twin
    async def score(self, trace_id: str, score: float, scored_by: str = "sdk") -> TraceResult:
        """Give a trace a score in [0, 1].

        Raises:
            CTNotFoundError: There is no such trace.
            CTError: The call failed.
        """
        path = self._path("/api/v1/traces/{}/score", trace_id)
        body = self._body(ScoreRequest, score=score, scored_by=scored_by)
        return await self._ask("POST", path, body=body, reads=TraceResult)

    @Twin
    async def log_trace(
        self,
        task_id: str,
        prompt_text: str | None = None,
        response_text: str | None = None,
        model: str | None = None,
        tokens: int | None = None,
        latency_ms: float | None = None,
        source_file: str | None = None,
        source_variable: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> TraceResult:
        """Store a trace of one LLM call.

        Args:
            task_id: The task's UUID or name.
            prompt_text: What the model was sent.
            response_text: What it answered.
            model: The model.
            tokens: Of input and output together.
            latency_ms: How long it took, in milliseconds.
            source_file: The file that holds the prompt.
            source_variable: The variable there.
            metadata: Anything else that JSON can hold.

        Raises:
            CTError: The trace was not stored.
        """
        body = self._body(
            TraceCreate,
            task_id=task_id,
            prompt_text=prompt_text,
            response_text=response_text,
            model=model,
            tokens=tokens,
            latency_ms=latency_ms,
            source_file=source_file,
            source_variable=source_variable,
            metadata=metadata,
        )
        return await self._ask("POST", "/api/v1/traces", body=body, reads=TraceResult)


class CTClient(SyncClient, CTCalls):
    """Client of a Kaizen CT server; a context manager that closes its connections.

    Args:
        api_key: The key; ``KAIZEN_API_KEY`` when not given.
        base_url: The server; ``KAIZEN_BASE_URL`` when not given, else ``http://localhost:8000``.
        cache_ttl: Seconds that a fetched prompt is used for.
        timeout: Seconds that a call may take in all, or ``Timeouts``.
        transport: How requests travel, for a proxy or certificates of your own.

    Raises:
        CTError: There is no key; before any request.
    """


class AsyncCTClient(AsyncClient, CTCalls):
    """The same client with methods that are awaited, under asyncio or trio; see ``CTClient``."""
