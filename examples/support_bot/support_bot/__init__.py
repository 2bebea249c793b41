"""A small application: it summarises support tickets with a model."""

from __future__ import annotations

from .summarizer import COMPANY, summarize
from .tickets import Ticket, load_tickets

__all__ = ["COMPANY", "Ticket", "load_tickets", "summarize"]
