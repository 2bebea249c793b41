from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support_bot import COMPANY, Ticket, load_tickets, summarize

if TYPE_CHECKING:
    import anthropic

    from pytest_kaizen import Kaizen


@pytest.mark.kaizen(task="summarize_ticket")
@pytest.mark.kaizen_prompt("summarize_ticket", "locked")
@pytest.mark.kaizen_threshold("latency_ms", max=30_000)
@pytest.mark.parametrize("ticket", load_tickets(), ids=lambda ticket: ticket.id)
def test_summary(kaizen: Kaizen, client: anthropic.Anthropic, ticket: Ticket) -> None:
    prompt = kaizen.prompt("summarize_ticket")
    summary = summarize(client, ticket, system=prompt.render(company=COMPANY))
    kaizen.case(input=ticket.text, output=summary)
    kaizen.check("names the product", ticket.product in summary)
    if ticket.urgency == "high":
        kaizen.check("says that it is urgent", summary.startswith("Urgent:"))
