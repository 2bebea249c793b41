"""Replies that may fool a judge: the same whatever was asked, or written to the judge itself.

A reply that ignores its input and speaks to the judge has won most comparisons against a strong
model (Zheng et al. 2024, Cheating automatic LLM benchmarks: null models achieve high win rates).
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .checks.base import as_text, short

#: Fewer different inputs say nothing about replies that are alike.
MIN_INPUTS = 5
_MOST = 0.9
_ALIKE = 0.9
_COMPARED_WORDS = 150
_COMPARED_PAIRS = 40
#: So much of a reply's beginning, and of its end, is searched.
_SEARCHED = 20_000

_TO_THE_JUDGE = re.compile(
    r"""
      \b as\ an?\ (?:\w+\ ){0,2} (?:evaluator|grader) \b
    | \b (?:dear|attention|to\ the|note\ to|note\ to\ the) ,?\ (?:evaluator|grader|judge) s? \b
    | \b (?:ignore|disregard|forget) \ (?:(?:all|any|the|your)\ ){0,2} (?:previous|prior|above|earlier)
      \ (?:instruction|criteri|rubric|prompt)
    | \b (?:give|award|assign|rate|grade) \ (?:this|it|me) \b (?:\ [\w-]+){0,4}
      \ (?:scores?|marks?|rating|grade|points?) \b
    | \b deserves\ (?:a|the)\ (?:full|perfect|highest|maximum|top|high)\ (?:scores?|marks?|rating|grade) \b
    | \b (?:meets|satisfies|fulfils)\ all\ (?:of\ )?(?:the\ )?(?:grading|evaluation|rubric)? \ ?criteria \b
    | ^ \W* (?:score|rating|grade) \W* [:=] \W* (?:\d|yes\b|pass\b|perfect\b|full\b)
    | \b (?:BEGIN|END)\ (?:FIRST\ |SECOND\ )?OUTPUT \b
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)


def addresses_judge(reply: Any) -> str | None:
    """Find words in a reply that are meant for whoever grades it; None when there are none.

    A short list of phrases in English: what it finds is worth reading, what it misses is not safe.
    """
    text = as_text(reply)
    if len(text) > 2 * _SEARCHED:
        text = f"{text[:_SEARCHED]}\n{text[-_SEARCHED:]}"
    found = _TO_THE_JUDGE.search(text)
    return None if found is None else found[0].strip()


def compared_words(reply: Any) -> tuple[str, ...]:
    """Reduce a reply to what ``same_replies`` compares: its first words, without case and layout."""
    return tuple(as_text(reply)[:_SEARCHED].lower().split()[:_COMPARED_WORDS])


def same_replies(replies: Sequence[tuple[str, tuple[str, ...]]]) -> str | None:
    """Say that replies are the same, or nearly, whatever the input; None when they are not.

    They are when nine in ten are one text, or nine in ten neighbours (of at most 40 pairs, evenly
    chosen) share nine tenths of their words in the same order.

    Args:
        replies: An input, or something that stands for it, and ``compared_words`` of the reply.
    """
    by_input = dict(replies)
    if len(by_input) < MIN_INPUTS:
        return None
    texts = list(by_input.values())
    most, times = Counter(texts).most_common(1)[0]
    if times >= _MOST * len(texts):
        return f"{times} of {len(texts)} replies are the same whatever the input ({short(' '.join(most))})"
    step = max(1, (len(texts) - 1) // _COMPARED_PAIRS)
    pairs = [(texts[i], texts[i + 1]) for i in range(0, len(texts) - 1, step)][:_COMPARED_PAIRS]
    alike = sum(
        difflib.SequenceMatcher(None, one, other, autojunk=False).ratio() >= _ALIKE for one, other in pairs
    )
    if alike >= _MOST * len(pairs):
        return f"replies are nearly the same whatever the input ({short(' '.join(most))})"
    return None
