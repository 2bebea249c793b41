"""Kayba's prompts: the versions of the task ``default``, unless another one is named."""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel
from starlette.types import ASGIApp

from ....errors import UsageError
from ....models import InsightStatus, PromptVersion
from ....pipeline.insights import DEFAULT_TASK
from ....pipeline.stored_prompts import write_stored_prompt
from ....platforms.kayba.wire import (
    GeneratedPrompt,
    GeneratePrompt,
    Prompt,
    PromptContent,
    PromptMeta,
    Prompts,
)
from ....store import Store
from ...operation import Access, Call, Operation
from ...problem import Refusal
from .insights import require_insights


class PromptQuery(BaseModel, defer_build=True):
    """Whose prompts are meant: *ours*, Kayba knows no tasks."""

    task: str | None = None


async def generate(call: Call, query: PromptQuery, body: GeneratePrompt) -> GeneratedPrompt | ASGIApp:
    """Make a prompt of insights, all that are accepted or those named."""
    return await call.once(partial(_generate, query.task, body))


def list_prompts(call: Call, query: PromptQuery) -> Prompts:
    """List prompts without their text, the newest first."""
    found = reversed(call.store.prompts(query.task or DEFAULT_TASK))
    return Prompts([PromptMeta(id=known.id, version=known.version, label=known.note) for known in found])


def get(call: Call, prompt_id: str) -> Prompt:
    """Show a prompt."""
    task = prompt_id.rpartition("@")[0]
    found = next((known for known in call.store.prompts(task) if known.id == prompt_id), None)
    if found is None:
        raise Refusal(404, f"there is no prompt {prompt_id!r}")
    return Prompt(id=found.id, version=found.version, label=found.note, content=_content(found))


def _generate(task: str | None, body: GeneratePrompt, store: Store) -> GeneratedPrompt:
    if body.insight_ids is None:
        task = task or _task_of_accepted(store)
    else:
        require_insights(store, body.insight_ids)
    if body.insight_ids == []:
        raise Refusal(400, "insightIds: name at least one, or leave it out to take all that are accepted")
    try:
        made = write_stored_prompt(store, insight_ids=body.insight_ids, task=task, label=body.label)
    except UsageError as exc:
        raise Refusal(400, str(exc)) from None
    return GeneratedPrompt(prompt_id=made.id, version=made.version, label=made.note, content=_content(made))


def _task_of_accepted(store: Store) -> str:
    """Return the task that a prompt without insights named is for: the default one, else the only one."""
    tasks = sorted({insight.task for insight in store.insights(status=InsightStatus.ACCEPTED)})
    if not tasks:
        raise Refusal(400, "no insight is accepted; accept some: PATCH /api/insights/ID", code="NO_INSIGHTS")
    if DEFAULT_TASK in tasks:
        return DEFAULT_TASK
    if len(tasks) > 1:
        raise Refusal(400, f"accepted insights are of several tasks ({', '.join(tasks)}); name one: ?task=")
    return tasks[0]


def _content(version: PromptVersion) -> PromptContent:
    return PromptContent(text=version.text)


OPERATIONS = (
    Operation("POST", "/api/prompts/generate", Access.WRITE, generate, errors=(404,)),
    Operation("GET", "/api/prompts", Access.READ, list_prompts),
    Operation("GET", "/api/prompts/{prompt_id}", Access.READ, get, errors=(404,)),
)
