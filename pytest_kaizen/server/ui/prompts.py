"""Prompt versions: texts, what changed, scores, and which is active; and the search for better ones."""

from __future__ import annotations

import difflib
from functools import partial
from typing import NamedTuple

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from ...models import PromptVersion
from ...platforms.kaizen_ct.wire import OptimizeResult
from ...store import Store
from ...store.activations import Status
from ..operation import Access, Call
from ..problem import Refusal
from ..routes.kaizen_ct import jobs
from ..routes.kaizen_ct.ids import job_of, task_of
from .page import ROOT, Page, Redirect, View, url


class Against(BaseModel):
    """What a version is compared with: the number of another; its parent where none is given."""

    against: int | None = None


class Entry(NamedTuple):
    """A version in a list."""

    version: PromptVersion
    status: Status


def list_prompts(call: Call) -> View:
    """List the tasks that have prompts, with the active version of each."""
    by_task: dict[str, list[PromptVersion]] = {}
    for version in call.store.prompts():
        by_task.setdefault(version.task, []).append(version)
    rows = [
        (task, versions[-1], call.store.activations.active(task), versions)
        for task, versions in by_task.items()
    ]
    return View("prompts.list", {"rows": rows})


def show_prompt(call: Call, task: str) -> View:
    """List the versions of a task's prompt, the newest first."""
    store = call.store
    entries = [_entry(store, version) for version in reversed(_versions(store, task))]
    known = store.tasks.find(task)
    feedback = store.feedback.count(known.id).total if known is not None else 0
    return View("prompts.prompt", {"task": task, "entries": entries, "feedback": feedback})


def show_version(call: Call, query: Against, task: str, number: str) -> View:
    """Show a version of a prompt, and what is different from another one."""
    versions = _versions(call.store, task)
    version = _version(versions, task, number)
    wanted = version.parent if query.against is None else query.against
    other = next((known for known in versions if known.version == wanted), None)
    if query.against is not None and other is None:
        raise Refusal(404, f"the prompt of {task!r} has no version {query.against}")
    values = {
        "task": task,
        "entry": _entry(call.store, version),
        "other": other,
        "diff": _diff(other, version) if other else [],
        "versions": versions,
    }
    return View("prompts.version", values)


async def activate(call: Call, task: str, number: str) -> Redirect:
    """Make a version the active one; the one before it becomes archived."""
    await call.write(partial(_activate, task, number))
    return Redirect(url("prompts", task))


def show_optimization(call: Call, task: str) -> View:
    """Show what a search for a better prompt takes at most, or why there can be none now."""
    known, planned, problem = task_of(call.store, task), None, None
    try:
        planned = jobs.plan(call, known.id)
    except Refusal as exc:
        problem = exc.detail
    count = call.store.feedback.count(known.id)
    values = {"task": known.name, "planned": planned, "problem": problem, "count": count}
    return View("prompts.optimization", values)


async def optimize(call: Call, task: str) -> Redirect | ASGIApp:
    """Start a search for a better prompt, with the task's feedback as the metric."""
    started = await jobs.start(call, task)
    if not isinstance(started, OptimizeResult):
        return started
    job = await run_in_threadpool(job_of, call.store, str(started.job.id))
    return Redirect(url("jobs", job.id))


def _activate(task: str, number: str, store: Store) -> None:
    store.activations.activate(task, _version(_versions(store, task), task, number).version)


def _versions(store: Store, task: str) -> list[PromptVersion]:
    found = store.prompts(task)
    if not found:
        raise Refusal(404, f"there is no prompt of {task!r}")
    return found


def _version(versions: list[PromptVersion], task: str, number: str) -> PromptVersion:
    found = next((known for known in versions if str(known.version) == number), None)
    if found is None:
        raise Refusal(404, f"the prompt of {task!r} has no version {number!r}")
    return found


def _entry(store: Store, version: PromptVersion) -> Entry:
    return Entry(version, store.activations.status(version.task, version.version))


def _diff(before: PromptVersion, after: PromptVersion) -> list[str]:
    names = (f"version {before.version}", f"version {after.version}")
    return list(difflib.unified_diff(before.text.split("\n"), after.text.split("\n"), *names, lineterm=""))


PAGES = (
    Page("GET", f"{ROOT}/prompts", Access.READ, list_prompts),
    Page("GET", f"{ROOT}/prompts/{{task}}", Access.READ, show_prompt, errors=(404,)),
    Page("GET", f"{ROOT}/prompts/{{task}}/optimize", Access.READ, show_optimization, errors=(404,)),
    Page("POST", f"{ROOT}/prompts/{{task}}/optimize", Access.WRITE, optimize, errors=(400, 404, 409)),
    Page("GET", f"{ROOT}/prompts/{{task}}/{{number}}", Access.READ, show_version, errors=(404,)),
    Page("POST", f"{ROOT}/prompts/{{task}}/{{number}}/activate", Access.WRITE, activate, errors=(404,)),
)
