"""Proposal → the title and the text of a pull request.

Whatever models wrote stands in fences, as in the file with the evidence. A git host may take the text
for a commit's message later, where fences mean nothing: mentions and references are broken there too.
"""

from __future__ import annotations

import re

from ..models import Proposal
from .proposal import proposal_markdown
from .text import safe_text

#: Characters of a section. GitHub takes 65,536 altogether, and fences may triple what is within.
_LONGEST = 4_000
_ADVICE = (
    "Merging it makes this version the active one. Closing it and deleting its branch makes room for another."
)
#: `@name`, `#12`, `GH-12` and addresses, which hosts link, notify or close by.
_ACTIVE = re.compile(r"(@|#|://|\bGH-|\bwww)(?=[\w.])", re.IGNORECASE)
_NOTHING = "\u200b"


def pull_request_title(proposal: Proposal) -> str:
    """Name a pull request."""
    return quiet(safe_text(f"A better prompt for {' '.join(proposal.task.split())}"))[:200]


def pull_request_text(proposal: Proposal, advice: str = _ADVICE) -> str:
    """Write the evidence for a proposal; the prompt itself is among the changed files.

    Args:
        proposal: The proposal.
        advice: What stands above it: what merging does.
    """
    text = proposal_markdown(proposal, longest=_LONGEST, prompt=False)
    head, _, evidence = text.partition("\n")
    return f"{advice}\n\n{head}\n{quiet(evidence)}"


def quiet(text: str) -> str:
    """Break what a git host would take for a mention, a reference or an address."""
    return _ACTIVE.sub(rf"\1{_NOTHING}", text)
