"""The words of a text and of a search, the same for every home's index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

#: Characters of a trace that are indexed: PostgreSQL's index entry for a text ends at 1 MB.
MOST_CHARACTERS = 64_000
_LONGEST_WORD = 100
_WORD = re.compile(r"[^\W_]+")
_TERM = re.compile(r'(?P<not>-?)(?:"(?P<phrase>[^"]*)"?|(?P<word>\S+))')


def words(text: str) -> list[str]:
    """Return the words of a text in lower case: runs of letters and digits, cut at 100 characters."""
    return [word[:_LONGEST_WORD] for word in _WORD.findall(text.lower())]


def texts(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value: its strings and numbers, without the names of its keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


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


def score(text: list[str], query: Query) -> float:
    """Say how much of a text a query is about, in (0, 1): more with each time a wanted word is in it."""
    wanted = {word for phrase in query.wanted for word in phrase}
    count = sum(word in wanted for word in text)
    return count / (count + len(wanted)) if count else 0.0


def snippet(text: str, query: Query, width: int = 160) -> str:
    """Return the part of a text around the first wanted word, on one line."""
    wanted = {word for phrase in query.wanted for word in phrase}
    found = next((match for match in _WORD.finditer(text) if match[0].lower() in wanted), None)
    start = max(0, found.start() - width // 3) if found else 0
    end = start + width
    middle = " ".join(text[start:end].split())
    return ("…" if start else "") + middle + ("…" if end < len(text) else "")
