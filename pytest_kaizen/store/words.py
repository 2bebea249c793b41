"""The words of a text and of a search, the same for every home's index."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

#: Characters of a trace that are indexed: PostgreSQL's index entry for a text ends at 1 MB.
MOST_CHARACTERS = 64_000
_WORD = re.compile(r"[^\W_]+")
_TERM = re.compile(r'(?P<not>-?)(?:"(?P<phrase>[^"]*)"?|(?P<word>\S+))')


def words(text: str) -> list[str]:
    """Return the words of a text in lower case: runs of letters and digits."""
    return _WORD.findall(text.lower())


def gather(value: Any, into: list[str]) -> None:
    """Append the texts in a JSON value: its strings and numbers, without the names of its keys."""
    kind = value.__class__
    if kind is str:
        into.append(value)
    elif kind is dict:
        for item in value.values():
            gather(item, into)
    elif kind is list:
        for item in value:
            gather(item, into)
    elif kind is int or kind is float:
        into.append(str(value))


class Query(NamedTuple):
    """A search: phrases, each a list of words one after the other.

    Attributes:
        wanted: All of them are in a text that fits.
        unwanted: None of them is.
    """

    wanted: list[list[str]]
    unwanted: list[list[str]]


def parse_query(text: str) -> Query:
    """Understand what a person types: words, ``"a phrase"``, ``-word`` for what is not to be there.

    Nothing is an error. A word with punctuation within (``gpt-4o``) is a phrase of its parts.
    """
    query = Query([], [])
    for term in _TERM.finditer(text):
        phrase = words(term["phrase"] if term["phrase"] is not None else term["word"])
        if phrase:
            (query.unwanted if term["not"] else query.wanted).append(phrase)
    return query


def fits(text: str, query: Query) -> bool:
    """Say whether a text has all that is wanted and nothing that is not."""
    lowered = text.lower()
    # Most texts are told apart by this alone, which is far cheaper.
    if not all(word in lowered for phrase in query.wanted for word in phrase):
        return False
    found = f" {' '.join(_WORD.findall(lowered))} "

    def holds(phrase: list[str]) -> bool:
        return f" {' '.join(phrase)} " in found

    return all(map(holds, query.wanted)) and not any(map(holds, query.unwanted))


def finder(query: Query) -> re.Pattern[str]:
    """Return what finds the wanted words of a query in a text in lower case."""
    wanted = sorted({word for phrase in query.wanted for word in phrase})
    # What stands before a word is looked at behind it: letters that a pattern begins with are found fast.
    whole = (rf"{word}(?<![^\W_]{word})(?![^\W_])" for word in wanted)
    return re.compile("|".join(whole))


def score(text: str, query: Query, pattern: re.Pattern[str]) -> float:
    """Say how much of a text a query is about, in [0, 1): more with each time a wanted word is in it."""
    wanted = len({word for phrase in query.wanted for word in phrase})
    count = len(pattern.findall(text.lower()))
    return count / (count + wanted)


def snippet(text: str, pattern: re.Pattern[str], width: int = 160) -> str:
    """Return the part of a text around the first word that a pattern finds, on one line."""
    found = pattern.search(text.lower())
    start = max(0, found.start() - width // 3) if found else 0
    end = start + width
    middle = " ".join(text[start:end].split())
    return ("…" if start else "") + middle + ("…" if end < len(text) else "")
