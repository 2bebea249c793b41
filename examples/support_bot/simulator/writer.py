"""The simulated model as a writer of summaries."""

from __future__ import annotations

from .habits import (
    FLAGS_URGENCY,
    GIVES_NEXT_STEP,
    IS_BRIEF,
    KEEPS_TO_FACTS,
    NAMES_PRODUCT,
    NO_PREAMBLE,
    QUOTES_REQUEST,
    TELLS_PROBLEM,
    draw,
)
from .ticket import read_ticket

_INVENTIONS = (
    "We will send a replacement within 48 hours.",
    "A full refund has been approved and will arrive by Friday.",
    "Our technicians have confirmed that this is a known defect of the series.",
    "The customer has been with us for over ten years and will receive a 20 % discount.",
)
_PADDING = (
    "The customer has taken the time to get in touch with us about this matter and describes the situation "
    "in some detail.",
    "They have explained what they observed, what they have tried so far and what they expect from us.",
    "It is important to us that every customer is satisfied with the products and with the service.",
)


def write_summary(system: str, ticket: str) -> str:
    """Summarise a ticket under a system prompt; the same two always give the same summary."""
    seen = read_ticket(ticket)
    product = f"the {seen.product}" if NAMES_PRODUCT.shown(system, ticket) else "a device"
    told = TELLS_PROBLEM.shown(system, ticket)
    problem = f": {_lower_first(seen.subject)}" if told else " and is not satisfied with it"
    sentences = [f"{seen.customer} reports a problem with {product}{problem}."]
    if seen.urgent and FLAGS_URGENCY.shown(system, ticket):
        sentences[0] = f"Urgent: {sentences[0]}"
    if not NO_PREAMBLE.shown(system, ticket):
        sentences.insert(0, "Sure, here is a summary of the support ticket for you!")
    if not IS_BRIEF.shown(system, ticket):
        sentences += _PADDING
    if QUOTES_REQUEST.shown(system, ticket):
        sentences.append(f'They write: "{seen.request}"')
    if not KEEPS_TO_FACTS.shown(system, ticket):
        sentences.append(_INVENTIONS[int(draw("invention", ticket) * len(_INVENTIONS))])
    if GIVES_NEXT_STEP.shown(system, ticket):
        sentences.append(f"Next step: {seen.next_step}.")
    return " ".join(sentences)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
