"""What reports are made of: text made harmless, tables, Markdown, and what traces hold, put into words.

Text from models and files may hold what a terminal, a CI system's log or Markdown acts on: nothing
in it is an escape, a command, markup or a mention any more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..models import Fall, Part, Score, TaskChanges

# Terminal escapes and everything that moves the cursor, marks of writing direction (they can make a
# line read otherwise than it is), and halves of surrogate pairs, which no terminal can encode.
_ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

# GitHub reads `::error …` at the beginning of a line, after any white space, as a command.
_LINE_COMMAND = re.compile(r"^([^\S\n]*):(?=:[\w-])", re.MULTILINE)
# GitHub, Azure Pipelines and TeamCity read `##[…]`, `##vso[…]` and `##teamcity[…]` anywhere in a line.
_BRACKET_COMMAND = re.compile(r"#(?=#(?:vso|teamcity)?\[)", re.IGNORECASE)

_NUMBER = re.compile(r"[-+$<~]*\d[\d,.]*\s?(%|ms|s)?")
_BREAK = re.compile(r"\s+")

_NAMED = 3
_LONGEST_LINE = 160


def plain(text: str) -> str:
    r"""Show control characters (``\x1b``) instead of sending them; line feeds and tabs stay."""
    return _ACTIVE.sub(lambda match: ascii(match[0])[1:-1], text)


def safe_text(text: str) -> str:
    """Neutralise what a terminal or a CI log would act on; line feeds and tabs stay.

    Control characters are shown as escapes; a space breaks workflow commands (``: :error``,
    ``# #[group]``). Give it whole outputs, last: a command counts by its place in a line.
    """
    text = plain(text.replace("\r\n", "\n"))
    return _BRACKET_COMMAND.sub("# ", _LINE_COMMAND.sub(r"\1: ", text))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out rows under headers.

    Cells stand as ``str`` gives them, in one line, nothing for None; columns that hold numbers only
    are aligned to the right. Control characters are shown, not sent to the terminal: cells may hold
    what a model wrote.
    """
    # Needed at the end of a run, not at its start.
    from tabulate import tabulate

    cells = [[_cell(value) for value in row] for row in rows]
    columns = list(zip(*cells, strict=True)) or [()] * len(headers)
    # tabulate's own detection would also rewrite numbers (007, 1e5).
    align = ["right" if _is_numeric(column) else "left" for column in columns]
    return tabulate(cells, headers=headers, tablefmt="simple", colalign=align, disable_numparse=True)


def _cell(value: object) -> str:
    return "" if value is None else plain(_BREAK.sub(" ", str(value)).strip())


def _is_numeric(column: Sequence[str]) -> bool:
    filled = [cell for cell in column if cell]
    return bool(filled) and all(_NUMBER.fullmatch(cell) for cell in filled)


def code(text: str) -> str:
    """Show a text as it is, in one line, also in a cell of a table."""
    line = plain(" ".join(text.split()))
    ticks = "`" * (_longest_run(line) + 1)
    # Only a line that begins or ends with a tick needs the space, which is not shown.
    padded = f" {line} " if line.startswith("`") or line.endswith("`") or not line else line
    return f"{ticks}{padded}{ticks}".replace("|", "\\|")


def fenced(text: str, kind: str = "text") -> list[str]:
    """Put a text between fences that nothing in it can close; nothing when there is none."""
    text = safe_text(text)
    ticks = "`" * max(3, _longest_run(text) + 1)
    return [f"{ticks}{kind}", text, ticks] if text else []


def table_lines(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lay out a table; what a cell holds must be safe already."""
    body = [f"| {' | '.join(row)} |" for row in (headers, *rows)]
    return [body[0], f"|{' --- |' * len(headers)}", *body[1:]]


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def value_text(value: Any) -> str:
    """Return a text as it is and anything else as its JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def part_text(part: Part) -> str:
    """Return a part of a message; what is no text says what it is."""
    extra = part.model_extra or {}
    if part.type == "text":
        return part.content or ""
    if part.type == "tool_call":
        return f"tool call {extra.get('name')}({value_text(extra.get('arguments'))})"
    if part.type == "tool_call_response":
        return f"tool result {value_text(extra.get('response'))}"
    if part.type == "blob":
        return f"[{extra.get('mime_type')}, {extra.get('size')} bytes]"
    return f"[{part.type}] {part.content if part.content is not None else value_text(extra)}"


def score_text(score: Score) -> str:
    """Write a score with its source and reason; a scorer that failed, with its error."""
    value = "no score" if score.value is None else f"{score.value:.2f}{score.votes_text}"
    why = score.error or score.reason
    expected = f" (expected {score.expected})" if score.expected else ""
    return f"{score.name}: {value} ({score.source})" + (f": {why}" if why else "") + expected


def changes_lines(task: str, changes: TaskChanges) -> list[str]:
    """Lay out what changed since the baseline: the scores, what fell most, what the runs differ in."""
    score = f"score {_change(changes.score)} over " if changes.score else ""
    cases = f"{changes.paired} case{'s' * (changes.paired != 1)} in both"
    lines = [f"{task}: since {changes.since}: {score}{cases}"]
    if changes.cases:
        lines.append(f"  cases that fell most: {_falls(changes.cases)}")
    if changes.criteria:
        lines.append(f"  criteria that fell most: {_falls(changes.criteria)}")
    facts = "; ".join(f"{what} {before} to {now}" for what, before, now in changes.facts)
    lines.append(f"  changed: {facts or 'nothing: same prompt, models, judge, rubrics and revision'}")
    lines += [f"  {what}: {_names(cases)}" for what, cases in _lists(changes) if cases]
    lines += [f"    {line[:_LONGEST_LINE]}" for line in changes.prompt_diff]
    return [safe_text(line) for line in lines]


def _lists(changes: TaskChanges) -> tuple[tuple[str, Sequence[str]], ...]:
    return ("new", changes.new), ("removed", changes.removed)


def _falls(falls: Sequence[Fall]) -> str:
    return ", ".join(f"{fall.name} {_change(fall)}" for fall in falls[:_NAMED])


def _change(fall: Fall) -> str:
    return f"{fall.before:.2f} to {fall.now:.2f}"


def _names(cases: Sequence[str]) -> str:
    more = len(cases) - _NAMED
    return ", ".join(cases[:_NAMED]) + (f" and {more} more" if more > 0 else "")
