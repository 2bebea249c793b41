"""The simulated model as the one that improves a prompt: it knows what it is shown, and no more.

It does not know which instructions the writer follows. Where a run is said to lack something, it turns
the words that say so into an instruction; scores that say nothing give it nothing to go by. One time
in six it draws a lesson from a single ticket instead, as models do.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from .habits import draw

_SECTION = re.compile(
    r"^BEGIN ([A-Z ]+?)(?: (\d+))? (\w+)\n(.*?)\nEND \1(?: \2)? \3$", re.DOTALL | re.MULTILINE
)
_FINDING = re.compile(r"^- (?P<name>[^:\n]+): (?P<score>\d\.\d\d)(?P<told>;.*)?$", re.MULTILINE)
_EXPECTED = re.compile(r"; expected: (.*?)(?=; observed: |; reason: |$)")
_REASON = re.compile(r"; reason: (.*)$")
_SUBJECT = re.compile(r"^Subject: (.+)$", re.MULTILINE)
_VERB = re.compile(r"^(\w+[a-z])s\b")
_NEXT_VERB = re.compile(r"\b(and) (\w+[a-z])s\b")
_RULE = re.compile(r"^(\d+)\. (.+)$", re.MULTILINE)
_WORD = re.compile(r"[a-z]{4,}")


class Finding(NamedTuple):
    """What a run is said to lack."""

    criterion: str
    expected: str
    reason: str


def draw_lessons(prompt: str) -> str:
    """Answer a request for lessons, in JSON.

    Args:
        prompt: The request's text: the prompt, and failed runs with what each criterion found.
    """
    sections = [(name, number, text) for name, number, _, text in _SECTION.findall(prompt)]
    known = "\n".join(text for name, _, text in sections if name in ("PROMPT", "TRIED AND REJECTED"))
    lessons: dict[str, dict[str, object]] = {}
    for name, number, run in sections:
        if name != "RUN":
            continue
        for finding in _findings(run):
            rule = _instruction(finding, run)
            if rule in known:
                continue
            lesson = lessons.setdefault(rule, _lesson(rule, finding))
            evidence = lesson["evidence"]
            assert isinstance(evidence, list)
            evidence.append(int(number))
    return json.dumps({"lessons": list(lessons.values())})


def relate_rules(prompt: str) -> str:
    """Answer which new rules say the same as listed ones, by the words they share, in JSON."""
    sections = {name: _RULE.findall(text) for name, _, _, text in _SECTION.findall(prompt)}
    relations = []
    for number, rule in sections.get("NEW RULES", []):
        words = set(_WORD.findall(rule.lower()))
        for place, other in sections.get("LISTED RULES", []):
            others = set(_WORD.findall(other.lower()))
            if rule != other and words and len(words & others) / len(words | others) > 0.7:
                relations.append({"new": int(number), "known": int(place), "kind": "same"})
    return json.dumps({"relations": relations})


def _findings(run: str) -> list[Finding]:
    found = []
    for match in _FINDING.finditer(run):
        told = match["told"] or ""
        expected, reason = _EXPECTED.search(told), _REASON.search(told)
        found.append(Finding(match["name"], expected[1] if expected else "", reason[1] if reason else ""))
    return found


def _instruction(finding: Finding, run: str) -> str:
    """Turn what is expected, else the criterion's name, into something to do."""
    subject = _SUBJECT.search(run)
    if subject is not None and draw("overfits", finding.criterion, subject[1]) < 1 / 6:
        return f'If the ticket is about "{subject[1]}", say so.'
    name = finding.criterion.rpartition(".")[2].replace("_", " ")
    wanted = finding.expected or name
    sentences = [_imperative(sentence) for sentence in re.split(r"(?<=\.) ", wanted)]
    if _VERB.match(wanted) is None:
        # No sentence with a verb: a quality, and perhaps its measure.
        return f"Keep the answer {name}" + (f": {finding.expected}." if finding.expected else ".")
    return " ".join(sentences).rstrip(".") + "."


def _imperative(sentence: str) -> str:
    sentence = _NEXT_VERB.sub(r"\1 \2", sentence)
    sentence = _VERB.sub(r"\1", sentence)
    return sentence[:1].upper() + sentence[1:]


def _lesson(rule: str, finding: Finding) -> dict[str, object]:
    return {
        "justification": finding.reason or f"{finding.criterion} was not met",
        "evidence": [],
        "criterion": finding.criterion,
        "section": "general",
        "when": "",
        "rule": rule,
        "replaces": "",
        "confidence": "medium",
    }
