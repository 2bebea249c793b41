"""The next version of a task's prompt, from accepted insights or a proposal: in the files or the store.

On a server versions are kept in the store alone; no file has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ..config import Config
from ..errors import StoreError, UsageError
from ..models import Insight, InsightStatus, Job, PromptVersion, Proposal, ProposalStatus
from ..optimize.skillbook import Edit, apply_edits, has_line
from ..prompts import Prompt, PromptLibrary, new_version
from ..prompts.files import normalise, sha256_of, variables_in
from ..store import Store
from .insights import DEFAULT_TASK

#: Where messages say that such a version is.
_PLACE = Path("the store")


class SkillbookPrompt(NamedTuple):
    """A prompt with insights in it.

    Attributes:
        version: Its version.
        new: Whether it was written; False where the active one has all the insights already.
        active: The version that the task runs.
        added: The texts of the insights that came in.
        left_out: Those that name a variable, which the tests could not fill in.
        clashing: Pairs of them that cannot be followed together.
    """

    version: PromptVersion
    new: bool
    active: int | None
    added: list[str]
    left_out: list[str]
    clashing: list[tuple[str, str]]


def write_prompt(
    config: Config,
    store: Store,
    *,
    insight_ids: Sequence[str] | None = None,
    task: str | None = None,
    label: str | None = None,
) -> SkillbookPrompt:
    """Write the active prompt of a task, with insights as further rules, as its next version.

    Args:
        config: Where the prompts are.
        store: Has the insights.
        insight_ids: Theirs, or unambiguous beginnings; None for all of the task that are accepted.
        task: The task; that of the insights where they are of one.
        label: The version's note.

    Raises:
        UsageError: No insights, rejected ones, or of several tasks.
        PromptError: The prompt cannot be read or written.
        StoreError: The version was recorded with another text before.
    """
    insights = wanted_insights(store, insight_ids, task)
    name = insights[0].task
    library = PromptLibrary(config)
    there = library.numbers(name)
    text, added, left_out, clashing = woven(library.get(name).text if there else "", insights)
    if not added:
        if not there:
            raise UsageError(f"none of the {len(insights)} insights of '{name}' can stand in a prompt")
        number = library.get(name).version
        version = next(version for version in library.versions(name) if version.version == number)
        return SkillbookPrompt(version, False, number, [], left_out, clashing)
    version = _write(config, store, name, text, label or note_on(added))
    return SkillbookPrompt(version, True, PromptLibrary(config).active(name), added, left_out, clashing)


class Woven(NamedTuple):
    """A text with insights in it; see ``SkillbookPrompt``."""

    text: str
    added: list[str]
    left_out: list[str]
    clashing: list[tuple[str, str]]


def woven(base: str, insights: Sequence[Insight]) -> Woven:
    """Put insights into the text of a prompt, as further rules."""
    text, added, left_out = base, [], []
    for insight in insights:
        edited = apply_edits(text, [Edit("add", insight.text)]).lstrip("\n")
        if edited != text:
            added.append(insight.text)
        elif not has_line(text, insight.text):
            left_out.append(insight.text)
        text = edited
    texts = {insight.id: insight.text for insight in insights if has_line(text, insight.text)}
    clashing = [
        (texts[one.id], texts[two])
        for one in insights
        for two in one.contradicts
        if one.id in texts and two in texts
    ]
    return Woven(text, added, left_out, clashing)


def note_on(added: Sequence[str]) -> str:
    """Return the note of a version that insights came into."""
    return f"With {len(added)} insight{'s' * (len(added) != 1)}."


def _write(config: Config, store: Store, task: str, text: str, note: str) -> PromptVersion:
    path = new_version(config, task, text=text, note=note)
    written = next(v for v in PromptLibrary(config).versions(task) if v.version == int(path.stem))
    made = {"source": "insights", "created_at": datetime.now(UTC), "sha256": sha256_of(written.text)}
    version = written.model_copy(update=made)
    try:
        store.save_prompts([version])
    except StoreError:
        path.unlink()
        raise
    return version


def wanted_insights(store: Store, ids: Sequence[str] | None, task: str | None) -> list[Insight]:
    """Find the insights that are meant, the oldest first; see ``write_prompt``.

    Raises:
        UsageError: None, rejected ones, or of several tasks.
    """
    if ids is None:
        found = store.insights(task, InsightStatus.ACCEPTED)[::-1]
        tasks = sorted({insight.task for insight in found})
        if task is None and len(tasks) > 1:
            raise UsageError(f"accepted insights are of several tasks ({', '.join(tasks)}); name one: --task")
        if not found:
            of = f" of '{task}'" if task else ""
            raise UsageError(f"no accepted insights{of}; accept some: `kaizen insights triage --accept ID`")
        return found
    found = [find_insight(store, given) for given in dict.fromkeys(ids)]
    for insight in found:
        if insight.status is InsightStatus.REJECTED:
            raise UsageError(f"insight {insight.id} is rejected")
        if insight.task != (task or found[0].task):
            raise UsageError(
                f"insight {insight.id} is of the task '{insight.task}', not of '{task or found[0].task}'"
            )
    return found


def find_insight(store: Store, given: str) -> Insight:
    """Return an insight by its id or an unambiguous beginning of it.

    Raises:
        UsageError: None or several are meant.
    """
    every = store.insights()
    found = [insight for insight in every if insight.id == given] or [
        insight for insight in every if given and insight.id.startswith(given)
    ]
    if len(found) != 1:
        raise UsageError(f"{'several insights are' if found else 'no insight is'} meant by {given!r}")
    return found[0]


def prompt_version(config: Config, prompt_id: str | None = None, task: str | None = None) -> PromptVersion:
    """Return a prompt version.

    Args:
        config: Where the prompts are.
        prompt_id: ``TASK@N``; None for the active version of the task.
        task: The task; the only one that has prompts by default, else ``default``.

    Raises:
        UsageError: It is not clear which task is meant, or the id is none.
        PromptError: There is no such version.
    """
    library = PromptLibrary(config)
    if prompt_id is not None:
        name, _, number = prompt_id.rpartition("@")
        if not name or not number.isdecimal():
            raise UsageError(f"expected the id of a prompt, TASK@N (found {prompt_id!r})")
        wanted = library.version(name, int(number)).version
    else:
        tasks = library.tasks()
        if task is None and len(tasks) > 1 and DEFAULT_TASK not in tasks:
            raise UsageError(f"prompts are of several tasks ({', '.join(tasks)}); name one: --task")
        name = task or (tasks[0] if len(tasks) == 1 else DEFAULT_TASK)
        wanted = library.get(name).version
    return next(version for version in library.versions(name) if version.version == wanted)


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
    return None if number is None else store.prompt(task, number)


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
