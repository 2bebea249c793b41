"""Prompt versions that are kept in the store alone, as on a server: no file has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..models import Job, PromptVersion, Proposal, ProposalStatus
from ..prompts import Prompt
from ..prompts.text import normalise, sha256_of, variables_in
from ..store import Store
from .skillbook_prompts import note_on, wanted_insights, woven

#: Where messages say that such a version is.
_PLACE = Path("the store")


def active_text(store: Store, task: str) -> str:
    """Return the text of a task's active version; empty while none is."""
    found = _active(store, task)
    return "" if found is None else found.text


def prompt_to_improve(store: Store, task: str, begun: Job | None = None) -> Prompt:
    """Return the version that a search starts from.

    Args:
        store: Has the versions.
        task: The task.
        begun: A search that was begun with the version that was active then.

    Raises:
        UsageError: No version is active.
    """
    sha256 = None if begun is None else begun.settings.get("prompt_sha256")
    found = next((known for known in store.prompts(task) if _has(known, sha256)), None)
    found = found or _active(store, task)
    if found is None:
        raise UsageError(
            f"no version of the prompt of '{task}' is active; activate one, or log feedback of a new task "
            "with existing_prompt_text"
        )
    text = normalise(found.text)
    return Prompt(
        task, found.version, text, sha256_of(text), _PLACE, found.model, variables_in(text), found.note
    )


def add_draft(store: Store, proposal: Proposal) -> PromptVersion:
    """Store what a search found as a version that waits for somebody to activate it."""
    parent = next(
        (known for known in store.prompts(proposal.task) if _has(known, proposal.parent_sha256)), None
    )
    return _add(
        store,
        proposal.task,
        proposal.text,
        source="optimizer",
        parent=None if parent is None else parent.version,
        eval_score=proposal.acceptance.after,
        note=f"Found by an optimisation: proposal {proposal.id}.",
    )


def dismiss_open(store: Store, task: str) -> None:
    """Drop the open proposals of a task, which would keep out another one; their drafts stay."""
    for proposal in store.proposals(task):
        if proposal.status.is_open:
            store.save_proposal(proposal.model_copy(update={"status": ProposalStatus.DISMISSED}))


def write_stored_prompt(
    store: Store,
    *,
    insight_ids: Sequence[str] | None = None,
    task: str | None = None,
    label: str | None = None,
) -> PromptVersion:
    """Store the active prompt of a task, with insights as further rules, as its next version.

    The first version of a task becomes active. One that has the same text is returned as it is.

    Args:
        store: Has the insights and the versions.
        insight_ids: Theirs; None for all of the task that are accepted.
        task: The task; that of the insights where they are of one.
        label: The version's note.

    Raises:
        UsageError: No insights, rejected ones, of several tasks, or none that can stand in a prompt.
    """
    insights = wanted_insights(store, insight_ids, task)
    name = insights[0].task
    there = store.prompts(name)
    base = _active(store, name) or (there[-1] if there else None)
    made = woven("" if base is None else base.text, insights)
    if base is not None and not made.added:
        return base
    if not made.added:
        raise UsageError(f"none of the {len(insights)} insights of '{name}' can stand in a prompt")
    parent = None if base is None else base.version
    version = _add(
        store, name, made.text, source="insights", parent=parent, note=label or note_on(made.added)
    )
    if not there:
        store.activations.activate(name, version.version)
    return version


def _active(store: Store, task: str) -> PromptVersion | None:
    number = store.activations.active(task)
    return next((known for known in store.prompts(task) if known.version == number), None)


def _has(version: PromptVersion, sha256: str | None) -> bool:
    return sha256_of(normalise(version.text)) == sha256


def _add(store: Store, task: str, text: str, **fields: Any) -> PromptVersion:
    there = store.prompts(task)
    text = normalise(text)
    sha256 = sha256_of(text)
    same = next((known for known in there if _has(known, sha256)), None)
    if same is not None:
        return same
    version = PromptVersion(
        task=task,
        version=max((known.version for known in there), default=0) + 1,
        sha256=sha256,
        text=text,
        variables=variables_in(text),
        created_at=datetime.now(UTC),
        **fields,
    )
    store.save_prompts([version])
    return version
