"""What the simulated model does by itself, and what it does when the prompt asks for it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Habit:
    """One thing that the model may get right.

    Attributes:
        name: Part of the hash, so that habits vary independently of each other.
        request: Finds the instruction that asks for it in a system prompt.
        asked: How often it is done when it is asked for, in [0, 1].
        unasked: How often it is done when it is not.
    """

    name: str
    request: re.Pattern[str]
    asked: float
    unasked: float

    def shown(self, system: str, ticket: str) -> bool:
        """Tell whether the model does it for this ticket under this prompt."""
        asked = self.request.search(system) is not None
        return draw(self.name, str(asked), ticket) < (self.asked if asked else self.unasked)


def draw(*words: str) -> float:
    """Return a number in [0, 1) that looks random and is the same for the same words."""
    digest = hashlib.sha256("\0".join(words).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


NAMES_PRODUCT = Habit("product", _words(r"\b(name|mention|state)\b[^.]*\bproduct\b"), 0.97, 0.4)
KEEPS_TO_FACTS = Habit(
    "facts",
    _words(r"\bonly\b[^.]*\b(facts|ticket)\b|\bpromise nothing\b|\b(do not|don't|never) (promise|invent)\b"),
    0.97,
    0.3,
)
GIVES_NEXT_STEP = Habit("next step", _words(r"\bnext step\b"), 0.96, 0.1)
QUOTES_REQUEST = Habit("request", _words(r"\b(asks? for|customer wants|own words)\b"), 0.97, 0.5)
FLAGS_URGENCY = Habit("urgency", _words(r"\burgen(t|cy)\b"), 0.95, 0.15)
IS_BRIEF = Habit("brief", _words(r"\b(one|two|three|\d) sentences?\b|\bbrief|\bshort\b|\bconcise"), 0.96, 0.1)
NO_PREAMBLE = Habit(
    "preamble", _words(r"\bnothing else\b|\bonly the summary\b|\bno (greeting|preamble)\b"), 0.98, 0.3
)
TELLS_PROBLEM = Habit("problem", _words(r"\b(problem|issue|complain\w*)\b"), 0.98, 0.6)
