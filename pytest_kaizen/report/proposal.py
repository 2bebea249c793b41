"""Proposal → lines for a terminal, and the file with its evidence.

Prompts, rules and reasons were written by models and may hold anything: in the file they stand in
fences that none of them can close.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..models import Acceptance, Interval, Proposal
from .markdown import fenced
from .table import table
from .text import safe_text


def proposal_lines(proposal: Proposal) -> list[str]:
    """Lay out a proposal for a terminal: the verdict, the scores, the diff."""
    verdict = proposal.acceptance
    lines = [
        f"{proposal.task}: proposal {proposal.id} ({_spend(proposal)})",
        verdict.sentence,
        *_scores(verdict),
        *proposal.diff,
    ]
    return safe_text("\n".join(lines)).splitlines()


def proposal_markdown(proposal: Proposal, *, longest: int | None = None, prompt: bool = True) -> str:
    """Write a proposal with its evidence as Markdown.

    Args:
        proposal: The proposal.
        longest: So many characters of a section at most; None for all.
        prompt: Whether with the whole prompt.
    """
    verdict = proposal.acceptance
    cases = [(pair.case_id, f"{pair.before:.2f}", f"{pair.after:.2f}") for pair in verdict.cases]
    sections = [
        ("Verdict", [verdict.sentence, "", *_scores(verdict)]),
        ("Changes", proposal.diff),
        ("Rules", [_rule(insight.text, insight.justification) for insight in proposal.insights]),
        ("Held-out cases", table(("case", "before", "after"), cases).splitlines()),
        ("Prompt", proposal.text.splitlines() if prompt else []),
    ]
    head = [
        f"# Proposal {proposal.id}",
        "",
        f"Found by the engine `{proposal.engine}` with {_spend(proposal)}.",
        "The search never saw the held-out cases.",
    ]
    task = ("Task", [proposal.task, f"SHA-256 before: {proposal.parent_sha256}", f"after: {proposal.sha256}"])
    parts = (line for title, body in [task, *sections] for line in _section(title, body, longest))
    return "\n".join([*head, *parts])


def _section(title: str, body: Iterable[str], most: int | None) -> list[str]:
    text = "\n".join(body)
    if most is not None and len(text) > most:
        text = f"{text[:most]}\n… (cut: {len(text)} characters)"
    lines = fenced(text, "diff" if title == "Changes" else "text")
    return ["", f"## {title}", "", *lines, ""] if lines else []


def _scores(verdict: Acceptance) -> list[str]:
    """Put the scores before and after side by side."""
    before = _figure(verdict.before, verdict.before_interval)
    rows = [("score", before, _figure(verdict.after, verdict.after_interval))]
    rows += [
        (f"{pair.name}{' (critical)' if pair.critical else ''}", _figure(pair.before), _figure(pair.after))
        for pair in verdict.criteria
    ]
    won = f"{len(verdict.won)} of {len(verdict.cases)} cases won, {len(verdict.lost)} lost"
    missing = f", {len(verdict.missing)} without a score" if verdict.missing else ""
    return [*table(("", "before", "after"), rows).splitlines(), f"{won}{missing}"]


def _figure(mean: float | None, interval: Interval | None = None) -> str:
    if mean is None:
        return ""
    return f"{mean:.2f}" + (f" [{interval.low:.2f}, {interval.high:.2f}]" if interval else "")


def _spend(proposal: Proposal) -> str:
    spend = proposal.spend
    return f"{spend.rollouts} rollouts, {spend.calls} calls to the reflecting model, ${spend.usd:.4f}"


def _rule(rule: str, why: str) -> str:
    return f"- {rule}" + (f" ({' '.join(why.split())})" if why else "")
