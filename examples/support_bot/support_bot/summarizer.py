"""The job of the bot: one model call per ticket."""

from __future__ import annotations

import anthropic

from .tickets import Ticket

COMPANY = "Alder Home"
MODEL = "claude-haiku-4-5"


def summarize(client: anthropic.Anthropic, ticket: Ticket, *, system: str) -> str:
    """Return a summary of a ticket, written under a system prompt."""
    reply = client.messages.create(
        model=MODEL,
        max_tokens=400,
        system=system,
        messages=[{"role": "user", "content": ticket.text}],
    )
    return "".join(block.text for block in reply.content if block.type == "text")
