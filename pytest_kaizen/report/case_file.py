"""Case → a Markdown file for people, and for a model that is to learn from it.

All that came from a model, a test or a scorer stands in fences or code spans that it cannot close.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..models import Case, Message, Run, Sample, Span, SpanKind
from .content import part_text, score_text, value_text
from .markdown import code, fenced
from .text import safe_text


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
