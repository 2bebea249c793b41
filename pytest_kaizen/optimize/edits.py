"""Small edits of a prompt: a rule added, changed or dropped, the rest untouched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..prompts.text import variables_in

#: The line that stands above added rules.
HEADER = "Follow these rules:"


@dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes:
        rule: The rule to add or to put in the place of ``target``.
        target: The line to change or drop, without a bullet.
    """

    kind: Literal["add", "change", "drop"]
    rule: str = ""
    target: str = ""


def apply_edits(prompt: str, edits: Sequence[Edit]) -> str:
    """Apply edits one after the other.

    A rule is added once, at the end of the list under ``HEADER``, which is made when it is not there.
    An edit whose target is not a line of the prompt is left out, and so is one that would take a
    variable out of the prompt or bring one in: the tests fill in those they know.

    Args:
        prompt: The text.
        edits: The edits.
    """
    for edit in edits:
        edited = _apply(prompt, edit)
        if set(variables_in(edited)) == set(variables_in(prompt)):
            prompt = edited
    return prompt


def has_line(prompt: str, text: str) -> bool:
    """Return whether a line of the prompt is this text, bullets and spaces aside."""
    return _find(prompt.split("\n"), text) is not None


def bare_lines(prompt: str) -> frozenset[str]:
    """Return the lines of a prompt without bullets and surplus spaces."""
    return frozenset(_bare(line) for line in prompt.split("\n"))


def _apply(prompt: str, edit: Edit) -> str:
    lines = prompt.split("\n")
    if edit.kind == "add":
        if not edit.rule.strip() or _find(lines, edit.rule) is not None:
            return prompt
        bullet = f"- {edit.rule}"
        header = _find(lines, HEADER)
        if header is None:
            return f"{prompt.rstrip()}\n\n{HEADER}\n{bullet}"
        end = header + 1
        while end < len(lines) and lines[end].startswith("- "):
            end += 1
        return "\n".join([*lines[:end], bullet, *lines[end:]])
    place = _find(lines, edit.target)
    if place is None:
        return prompt
    if edit.kind == "change":
        bullet = lines[place][: len(lines[place]) - len(lines[place].lstrip(" -*"))]
        return "\n".join([*lines[:place], f"{bullet}{edit.rule}", *lines[place + 1 :]])
    del lines[place]
    header = _find(lines, HEADER)
    if header is not None and not any(line.startswith("- ") for line in lines[header + 1 : header + 2]):
        del lines[header]
    return "\n".join(lines).rstrip()


def _find(lines: Sequence[str], text: str) -> int | None:
    wanted = _bare(text)
    if not wanted:
        return None
    return next((index for index, line in enumerate(lines) if _bare(line) == wanted), None)


def _bare(line: str) -> str:
    return " ".join(line.lstrip(" -*").split())
