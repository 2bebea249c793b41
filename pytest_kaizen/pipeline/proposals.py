"""What becomes of a proposal: its files, and its way to the active version."""

from __future__ import annotations

import re
from pathlib import Path

from ..config import Config
from ..errors import PromptError
from ..models import Proposal, ProposalStatus
from ..prompts import PromptLibrary, activate_version, new_version
from ..report.proposal import proposal_markdown
from ..store import Store


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
        PromptError: Another version is active than the one it was compared with; a file cannot be
            written.
        StoreError: The store cannot be written.
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
    activate_version(config, proposal.task, number)
    store.save_proposal(proposal.model_copy(update={"status": ProposalStatus.ACTIVATED}))
    return number
