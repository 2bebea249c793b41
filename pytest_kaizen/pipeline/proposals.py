"""What becomes of a proposal: its files, and its way to the active version."""

from __future__ import annotations

import re
from pathlib import Path

from ..config import Config
from ..errors import PromptError
from ..models import Proposal, ProposalStatus
from ..prompts import PromptLibrary, activate_version, new_version
from ..prompts.text import normalise
from ..report.proposal import proposal_markdown
from ..store import Store


def open_proposal(config: Config, store: Store, task: str) -> Proposal | None:
    """Return the proposal for the prompt that a task runs that nobody decided about; None without one."""
    parent = PromptLibrary(config).get(task).sha256
    found = (proposal for proposal in store.proposals(task) if proposal.status.is_open)
    return next((proposal for proposal in found if proposal.parent_sha256 == parent), None)


def write_proposal(config: Config, proposal: Proposal) -> Path:
    """Write a proposal beside the store, with its evidence, and its text in a file of its own.

    Returns:
        The path of the evidence; that of the text ends in ``.txt``.

    Raises:
        OSError: It cannot be written.
    """
    path = proposal_path(config, proposal)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(proposal_markdown(proposal), encoding="utf-8", errors="backslashreplace")
    path.with_suffix(".txt").write_text(f"{proposal.text}\n", encoding="utf-8")
    return path


def proposal_path(config: Config, proposal: Proposal) -> Path:
    """Return where a proposal's evidence is written."""
    name = re.sub(r"[^\w.-]", "_", f"{proposal.task}-{proposal.id}")
    return config.store.parent / "proposals" / f"{name}.md"


def activate_proposal(config: Config, store: Store, proposal: Proposal) -> int:
    """Write a proposal as the next version of its prompt, make that the active one and lock it.

    Returns:
        The version.

    Raises:
        PromptError: As ``take_over``.
        StoreError: The store cannot be written.
    """
    number = take_over(config, proposal)
    store.save_proposal(proposal.model_copy(update={"status": ProposalStatus.ACTIVATED}))
    return number


def take_over(config: Config, proposal: Proposal) -> int:
    """Do to the files of a project what makes a proposal the active version, and return its number.

    Raises:
        PromptError: Another version is active than the one it was compared with; the text cannot
            stand in a prompt file as it is; a file cannot be written.
    """
    library = PromptLibrary(config)
    active = library.active(proposal.task)
    parent = next(
        (v.version for v in library.versions(proposal.task) if v.sha256 == proposal.parent_sha256), None
    )
    if parent != active:
        raise PromptError(
            f"proposal {proposal.id} was compared with {f'version {parent}' if parent else 'another text'}, "
            f"and version {active} of '{proposal.task}' is active: not activated"
        )
    note = f"Found by `kaizen optimize` from version {parent}: proposal {proposal.id}."
    path = new_version(config, proposal.task, source=parent, text=proposal.text, note=note)
    number = int(path.stem)
    # A model may begin a text with what a prompt file takes for front matter.
    if PromptLibrary(config).version(proposal.task, number).text != normalise(proposal.text):
        path.unlink()
        raise PromptError(
            f"the text of proposal {proposal.id} cannot stand in a prompt file as it is: not activated"
        )
    activate_version(config, proposal.task, number)
    return number
