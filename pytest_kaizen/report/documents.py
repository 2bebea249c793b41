"""Documents in Markdown: a run's summary, a case with its samples, a proposal, a pull request's text.

All that came from a model, a test or a scorer stands in fences or code spans that it cannot close.
A git host may take the text of a pull request for a commit's message later, where fences mean
nothing: mentions and references are broken there too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain

from ..models import (
    Acceptance,
    Case,
    GateResult,
    Interval,
    Message,
    Outcome,
    Proposal,
    Run,
    Sample,
    Span,
    SpanKind,
)
from .terminal import HEADERS, all_passed, closing_line, notes_of, task_row
from .text import (
    changes_lines,
    code,
    fenced,
    part_text,
    safe_text,
    score_text,
    table,
    table_lines,
    value_text,
)

_MARKS = {
    Outcome.PASS: "\u2705",
    Outcome.FAIL: "\u274c",
    Outcome.UNDECIDED: "\u26a0\ufe0f",
    Outcome.NOT_RUN: "\u2796",
}
#: More than this nobody reads, and a pull request's text has its limits.
_MOST_CASES = 50

#: Characters of a section. GitHub takes 65,536 altogether, and fences may triple what is within.
_LONGEST = 4_000
_ADVICE = (
    "Merging it makes this version the active one. Closing it and deleting its branch makes room for another."
)
#: `@name`, `#12`, `GH-12` and addresses, which hosts link, notify or close by.
_ACTIVE = re.compile(r"(@|#|://|\bGH-|\bwww)(?=[\w.])", re.IGNORECASE)
_NOTHING = "\u200b"


def run_markdown(run: Run, decided: Sequence[GateResult], failed_tasks: Sequence[GateResult]) -> str:
    """Lay out a run: the verdict, a row per task, the gates that did not pass, what changed.

    Args:
        run: The finished run.
        decided: Every gate of the run that came to a verdict.
        failed_tasks: The gates on whole tasks that make the session fail.
    """
    verdict = closing_line(run, decided, failed_tasks).removeprefix("kaizen: ")
    passed = all_passed(decided, failed_tasks)
    of_cases = [gate for gate in decided if gate.case_id is not None and gate.outcome is not Outcome.PASS]
    sections = (
        ["## kaizen", "", f"{_MARKS[Outcome.PASS if passed else Outcome.FAIL]} {code(verdict)}"],
        table_lines(HEADERS, [[code(cell) if cell else "" for cell in task_row(task)] for task in run.tasks])
        if run.tasks
        else [],
        [
            f"- {_MARKS[gate.outcome]} {code(f'{task.task}: {gate.sentence}')}"
            for task in run.tasks
            for gate in task.gates
        ],
        _cases(of_cases),
        _changes(run),
        [f"- {code(note)}" for note in notes_of(run)],
        [" \u00b7 ".join(_origin(run))],
    )
    return "\n".join(chain.from_iterable([*section, ""] for section in sections if section))


def _cases(gates: Sequence[GateResult]) -> list[str]:
    if not gates:
        return []
    rows = [[code(gate.case_id or ""), f"{_MARKS[gate.outcome]} {code(gate.sentence)}"] for gate in gates]
    more = len(rows) - _MOST_CASES
    return [
        "### Cases that missed a bar",
        "",
        *table_lines(("case", "gate"), rows[:_MOST_CASES]),
        *(["", f"and {more} more"] if more > 0 else []),
    ]


def _changes(run: Run) -> list[str]:
    lines = [line for task in run.tasks if task.changes for line in changes_lines(task.task, task.changes)]
    return ["### Since the baseline", "", *fenced("\n".join(lines), "diff")] if lines else []


def _origin(run: Run) -> list[str]:
    facts = (("run", run.id), ("revision", run.revision), ("branch", run.branch))
    return [f"{name} {code(value)}" for name, value in facts if value]


def case_markdown(case: Case, run: Run, limit: int) -> str:
    """Write a case with its verdicts and all its samples.

    Args:
        case: With its samples.
        run: Says which state of the code was tested.
        limit: The most characters: samples that go beyond it are left out, which the file says; the
            first one is cut.
    """
    parts = [_head(case, run)]
    samples = [_sample(sample, number, len(case.samples)) for number, sample in enumerate(case.samples, 1)]
    room = limit - len(parts[0])
    for number, text in enumerate(samples):
        if number == 0 and len(text) > room:
            parts += fenced(f"{text[: max(room, 0)]}…\n({len(text)} characters in all)")
        elif len(text) <= room:
            parts.append(text)
        else:
            parts.append(f"{len(samples) - number} more samples, left out for their length.\n")
            break
        room -= len(text)
    return safe_text("\n".join(parts))


def _head(case: Case, run: Run) -> str:
    prompts = {
        f"{task} v{version}": None for sample in case.samples for task, (version, _) in sample.prompts.items()
    }
    state = run.ci or run
    facts = [
        ("task", case.task),
        ("outcome", case.outcome if case.complete else "incomplete"),
        ("prompt", ", ".join(prompts)),
        ("branch", state.branch),
        ("revision", state.revision),
        ("run", run.id),
    ]
    lines = [f"# {code(case.id)}", "", *(f"- {name}: {code(value)}" for name, value in facts if value), ""]
    gates = [f"{gate.outcome}: {gate.sentence}" for gate in case.gates]
    return "\n".join([*lines, *_section("## Gates", "\n".join(gates))])


def _sample(sample: Sample, number: int, count: int) -> str:
    trace = sample.trace
    verdict = {True: "passed", False: "failed", None: "undecided"}[sample.passed]
    lines = [f"## Sample {number} of {count}: {verdict}", "", f"- trace: {code(trace.id)}", ""]
    lines += _section("### Error", sample.error or trace.error)
    lines += _section("### Scores", "\n".join(score_text(score) for score in trace.scores))
    for title, value in (("Input", trace.input), ("Output", trace.output), ("Reference", trace.reference)):
        lines += _section(f"### {title}", None if value is None else value_text(value))
    steps = [span for span in trace.spans if span.kind is not SpanKind.JUDGE]
    said: Sequence[Message] = ()
    for place, span in enumerate(steps, 1):
        lines += _step(span, place, said)
        said = [*span.input, *span.output] or said
    return "\n".join(lines)


def _step(span: Span, place: int, said: Sequence[Message]) -> list[str]:
    """Write a span; of a conversation that goes on, only what is new."""
    model = span.model if span.model and span.model not in span.name else ""
    lines = [f"### Step {place}: {code(f'{span.kind} {span.name} {model}'.strip())}", ""]
    lines += _section("", span.error and f"error: {span.error}")
    known = _shared(said, span.input)
    if known:
        lines += [f"After the {known} messages so far:", ""]
    for message in [*span.input[known:], *span.output]:
        lines += _section(code(message.role), "\n".join(part_text(part) for part in message.parts))
    return lines


def _shared(before: Sequence[Message], now: Sequence[Message]) -> int:
    """Return how many messages a conversation goes on from; 0 when it is another one."""
    # What came back as an output has a finish reason, which it has no more when it is sent again.
    plain = [[(message.role, message.parts) for message in messages] for messages in (before, now)]
    return len(before) if plain[1][: len(before)] == plain[0] else 0


def _section(title: str, text: str | None) -> list[str]:
    return [*([title, ""] if title else []), *fenced(text), ""] if text else []


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
    parts = (line for title, body in [task, *sections] for line in _proposal_section(title, body, longest))
    return "\n".join([*head, *parts])


def _proposal_section(title: str, body: Iterable[str], most: int | None) -> list[str]:
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


def pull_request_title(proposal: Proposal) -> str:
    """Name a pull request."""
    return quiet(safe_text(f"A better prompt for {' '.join(proposal.task.split())}"))[:200]


def pull_request_text(proposal: Proposal, advice: str = _ADVICE) -> str:
    """Write the evidence for a proposal; the prompt itself is among the changed files.

    Args:
        proposal: The proposal.
        advice: What stands above it: what merging does.
    """
    text = proposal_markdown(proposal, longest=_LONGEST, prompt=False)
    head, _, evidence = text.partition("\n")
    return f"{advice}\n\n{head}\n{quiet(evidence)}"


def quiet(text: str) -> str:
    """Break what a git host would take for a mention, a reference or an address."""
    return _ACTIVE.sub(rf"\1{_NOTHING}", text)
