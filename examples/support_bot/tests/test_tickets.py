from __future__ import annotations

from support_bot import load_tickets


def test_tickets_are_complete() -> None:
    tickets = load_tickets()
    assert len({ticket.id for ticket in tickets}) == 60
    assert {ticket.urgency for ticket in tickets} == {"low", "medium", "high"}
    assert all(ticket.subject and ticket.message and ticket.customer for ticket in tickets)
