"""Full-text search: the words of texts and queries, what every index does, and what of a trace is indexed.

Triggers on the table of traces note which of them changed, in ``search_owed``; whoever changes the spans
of a trace writes its row, too. The index follows later, off the path of whoever waits for an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..models import Trace
from . import traces
from .database import Connection
from .table import load_json

#: Characters of a trace that are indexed: PostgreSQL's index entry for a text ends at 1 MB.
MOST_CHARACTERS = 64_000
_WORD = re.compile(r"[^\W_]+")
_TERM = re.compile(r'(?P<not>-?)(?:"(?P<phrase>[^"]*)"?|(?P<word>\S+))')

_TRACES = "SELECT number, name, task, case_id, error, data FROM traces WHERE number IN {}"
_SPANS = "SELECT trace, name, model, error, data FROM spans WHERE trace IN {} ORDER BY trace, position"
#: Hits are counted up to this many.
MOST_COUNTED = 1000
#: Traces whose texts are in memory at once where there is no index.
_READ_AT_ONCE = 100


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


class Search(Protocol):
    """An index of texts by the number of their trace."""

    def prepare(self, connection: Connection) -> None:
        """Make the index and the triggers where they are absent; owe it what is there already."""

    def owed(self, connection: Connection, limit: int) -> list[int]:
        """Take the numbers of traces that changed since they were indexed, at most so many."""

    def put(self, connection: Connection, texts: Mapping[int, str]) -> None:
        """Index the texts of traces in place of what they had; an empty one takes a trace out."""

    def compact(self, connection: Connection) -> None:
        """Drop from the index what it still holds of traces that were taken out."""

    def texts(self, connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
        """Return the texts that traces are indexed with, by the numbers of those that are."""

    def find(self, connection: Connection, query: Query, task: str | None, limit: int) -> list[int]:
        """Return the numbers of traces that fit, the last stored first.

        Args:
            connection: The database.
            query: Has a wanted phrase at least.
            task: Of this task only.
            limit: At most so many.
        """


class Hit(NamedTuple):
    """A trace that was found.

    Attributes:
        score: How much it is about what was searched, in (0, 1).
        snippet: The text around the first word that was searched, on one line.
    """

    trace: Trace
    score: float
    snippet: str


class Hits(NamedTuple):
    """The outcome of a search.

    Attributes:
        hits: The last stored first.
        total: How many there are, counted up to ``MOST_COUNTED``.
    """

    hits: list[Hit]
    total: int


def index(connection: Connection, search: Search, limit: int) -> int:
    """Index traces that changed; return how many there were."""
    numbers = search.owed(connection, limit)
    if numbers:
        search.put(connection, _texts(connection, numbers))
    return len(numbers)


def find(connection: Connection, search: Search, text: str, task: str | None, limit: int) -> Hits:
    """Find traces by words, ``"phrases"`` and ``-words``; nothing fits a search without a wanted word."""
    query = parse_query(text)
    if not query.wanted:
        return Hits([], 0)
    numbers = search.find(connection, query, task, MOST_COUNTED)
    shown = numbers[:limit]
    texts, found = search.texts(connection, shown), traces.some(connection, shown)
    pattern = finder(query)
    hits = [
        Hit(found[number], score(texts[number], query, pattern), snippet(texts[number], pattern))
        for number in shown
    ]
    return Hits(hits, len(numbers))


def scan(connection: Connection, text: str, limit: int) -> Hits:
    """Find traces as ``find`` does, without an index: by reading all of them but those of jobs."""
    query = parse_query(text)
    if not query.wanted:
        return Hits([], 0)
    pattern = finder(query)
    hits: list[Hit] = []
    total = 0
    rows = connection.execute(f"SELECT number FROM traces WHERE {traces.NOT_OF_JOB} ORDER BY number DESC")
    numbers = [row[0] for row in rows.fetchall()]
    for start in range(0, len(numbers), _READ_AT_ONCE):
        for number, found in _texts(connection, numbers[start : start + _READ_AT_ONCE]).items():
            if not fits(found, query):
                continue
            total += 1
            if len(hits) < limit:
                trace = traces.one(connection, number)
                hits.append(Hit(trace, score(found, query, pattern), snippet(found, pattern)))
            if total == MOST_COUNTED:
                return Hits(hits, total)
    return Hits(hits, total)


def _texts(connection: Connection, numbers: list[int]) -> dict[int, str]:
    """Return what of traces is indexed; empty for one that is there no more."""
    parts: dict[int, list[str]] = {number: [] for number in numbers}
    which = f"({', '.join('?' * len(numbers))})"
    for query in (_TRACES, _SPANS):
        for number, *columns, data in connection.execute(query.format(which), numbers).fetchall():
            parts[number].extend(filter(None, columns))
            gather(load_json(data), parts[number])
    return {number: " ".join(found)[:MOST_CHARACTERS] for number, found in parts.items()}
