"""The simulated model as a judge: it grades by looking at the words of ticket and summary."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_MATERIAL = re.compile(r"^BEGIN (\w+) (\w+)\n(.*?)\nEND \1 \2$", re.DOTALL | re.MULTILINE)
_CRITERION = re.compile(r"^- ([\w-]+) \([^)]*(?:\([^)]*\)[^)]*)*\): (.+)$", re.MULTILINE)
_PROMISE = re.compile(
    r"\b(we will|will (arrive|receive)|has been approved|have confirmed|has been with us)\b[^.!?]*",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_LONG_WORD = re.compile(r"[^\W\d_]{4,}")


class Grade(NamedTuple):
    """How well a criterion is met, in [0, 1], and why."""

    value: float
    reason: str


def grade(prompt: str, schema: Mapping[str, Any]) -> str:
    """Answer a judge's request, in the JSON that its schema asks for.

    Args:
        prompt: The request's text, with the criteria and the material between its markers.
        schema: An object with a property per criterion, each with a ``reason`` and a ``score``
            whose values are listed from the worst to the best.
    """
    material = {name: text for name, _, text in _MATERIAL.findall(prompt)}
    descriptions = dict(_CRITERION.findall(prompt))
    answer = {}
    for name, properties in schema["properties"].items():
        scores = properties["properties"]["score"]["enum"]
        wanted = f"{name} {descriptions.get(name, '')}"
        value, reason = _grader_for(wanted)(material.get("INPUT", ""), material.get("OUTPUT", ""))
        answer[name] = {"reason": reason, "score": scores[round(value * (len(scores) - 1))]}
    return json.dumps(answer)


def _faithful(ticket: str, summary: str) -> Grade:
    if promise := _PROMISE.search(summary):
        return Grade(0.0, f'The ticket does not say "{promise[0].strip()}".')
    foreign = [number for number in _NUMBER.findall(summary) if number not in ticket]
    if foreign:
        return Grade(0.0, f"The number {foreign[0]} is not in the ticket.")
    return Grade(1.0, "Everything that the summary states is in the ticket.")


def _next_step(_ticket: str, summary: str) -> Grade:
    last = summary.strip().rpartition("Next step:")
    if not last[1]:
        return Grade(0.0, "The summary names no next step.")
    return Grade(1.0, f'The next step is given: "{last[2].strip()}".')


def _problem(ticket: str, summary: str) -> Grade:
    subject = re.search(r"^Subject: (.+)$", ticket, re.MULTILINE)
    told = subject[1] if subject else ticket
    share = _shared_words(told, summary)
    complete = "clear from" if share > 0.8 else "only partly clear from" if share > 0.3 else "missing in"
    return Grade(share, f"The problem, {told!r}, is {complete} the summary.")


def _in_general(ticket: str, summary: str) -> Grade:
    share = _shared_words(summary, ticket)
    return Grade(share, f"{share:.0%} of the summary's words are the ticket's own.")


_GRADERS: tuple[tuple[str, Callable[[str, str], Grade]], ...] = (
    (r"faithful|invent|only what|promise", _faithful),
    (r"next.step", _next_step),
    (r"problem", _problem),
)


def _grader_for(wanted: str) -> Callable[[str, str], Grade]:
    found = (grader for pattern, grader in _GRADERS if re.search(pattern, wanted, re.IGNORECASE))
    return next(found, _in_general)


def _shared_words(text: str, other: str) -> float:
    """Return the share of a text's longer words that another text has too; 1 when it has none."""
    words = {word.lower() for word in _LONG_WORD.findall(text)}
    others = {word.lower() for word in _LONG_WORD.findall(other)}
    return len(words & others) / len(words) if words else 1.0
