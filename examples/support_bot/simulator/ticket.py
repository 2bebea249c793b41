"""Reading a ticket the way the simulated model does: by its lines and a few telling words."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIELD = re.compile(r"^(Customer|Product|Subject): (.+)$", re.MULTILINE)
_SENTENCE = re.compile(r"[^.!?]+(?:[.!?](?=\d)[^.!?]+)*[.!?]")
_REQUEST = re.compile(
    r"^(please|can|could|do|how|is|where|i (want|would like|need)|we need|this is urgent)\b", re.IGNORECASE
)
_URGENT = re.compile(
    r"\b(urgent|immediately|right away|as soon as possible|smoke|dangerous|call (me|us) today)\b",
    re.IGNORECASE,
)
_STEPS = (
    (r"money back|refund|charged|pay for", "check the payment and decide about the refund"),
    (
        r"replace|exchange|new (shade|battery)|spare part|missing lamp|right cable",
        "check the warranty and the stock",
    ),
    (r"send (it|the fitter|someone)|return", "agree on a date with the customer"),
    (r"call (me|us)|immediately|right away|as soon as possible", "call the customer back"),
    (r"restore|account", "pass the ticket to the accounts team"),
    (r"\b(buy|sell|subscription)\b", "answer with the right link to the shop"),
)


@dataclass(frozen=True)
class ReadTicket:
    """What the model took from a ticket.

    Attributes:
        request: The sentence in which the customer says what they want.
        urgent: Whether its words say that it cannot wait.
    """

    customer: str
    product: str
    subject: str
    request: str
    urgent: bool
    next_step: str


def read_ticket(text: str) -> ReadTicket:
    """Read a ticket; what it does not say is filled in vaguely, as a model would."""
    fields = dict(_FIELD.findall(text))
    message = text.partition("\n\n")[2] or text
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(message)] or [message.strip()]
    requests = [sentence for sentence in sentences if _REQUEST.match(sentence)]
    request = (requests or sentences)[-1]
    return ReadTicket(
        customer=fields.get("Customer", "A customer"),
        product=fields.get("Product", "the product"),
        subject=fields.get("Subject", sentences[0].rstrip(".!?")),
        request=request,
        urgent=_URGENT.search(text) is not None,
        next_step=next(
            (step for pattern, step in _STEPS if re.search(pattern, request, re.IGNORECASE)),
            "answer the customer's question",
        ),
    )
