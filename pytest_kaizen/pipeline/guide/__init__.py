"""What coding agents are told about a project that is tested with this package."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent
_BEGIN, _END = "<!-- pytest-kaizen -->", "<!-- /pytest-kaizen -->"

#: Where agents look for the skill, from the root of a project.
SKILL_PATH = Path(".claude/skills/kaizen-pipeline/SKILL.md")


def instructions() -> str:
    """Return what an agent should know, as Markdown between two marks."""
    text = (_HERE / "instructions.md").read_text(encoding="utf-8")
    return f"{_BEGIN}\n{text}{_END}\n"


def with_instructions(text: str) -> str:
    """Add the instructions to a text, or bring up to date those that are in it."""
    begin, mark, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if mark and end:
        return begin + instructions().rstrip("\n") + after
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}{instructions()}"


def skill() -> str:
    """Return the skill of seven stages."""
    return (_HERE / "kaizen-pipeline" / "SKILL.md").read_text(encoding="utf-8")
