"""Support tickets, and the file they are kept in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

TICKETS = Path(__file__).parent.parent / "data" / "tickets.jsonl"


@dataclass(frozen=True)
class Ticket:
    """One ticket, as the customer wrote it; ``urgency`` (low, medium, high) was set by hand."""

    id: str
    product: str
    customer: str
    urgency: str
    subject: str
    message: str

    @property
    def text(self) -> str:
        """The ticket as the model reads it."""
        return (
            f"Ticket {self.id}\n"
            f"Customer: {self.customer}\n"
            f"Product: {self.product}\n"
            f"Subject: {self.subject}\n\n"
            f"{self.message}"
        )


def load_tickets(path: Path = TICKETS) -> list[Ticket]:
    """Read tickets from a file with one JSON object a line."""
    return [Ticket(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
