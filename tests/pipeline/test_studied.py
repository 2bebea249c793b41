"""What of a trace a model is shown, and in which pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_kaizen.models import SpanKind, TraceFile
from pytest_kaizen.pipeline.studied import chunks, pieces_of, shown

if TYPE_CHECKING:
    from tests.pipeline.conftest import Make


def _file(size: int) -> TraceFile:
    return TraceFile(filename="a.md", file_type="md", size=size)


def test_a_short_trace_is_shown_whole_with_its_scores(make: Make) -> None:
    score = make.score("warm", 0.5, reason="no name", expected="a name")
    span = make.span(output=[make.message("assistant", "Hi.")])
    judge = make.span(SpanKind.JUDGE, output=[make.message("assistant", "graded " * 2000)])
    trace = make.trace(span, judge, scores=[score], input="greet Ann", output="Hi.", error="late")
    for recursive in (True, False):
        item = shown(trace, recursive=recursive)
        assert (item.input, item.output) == ("greet Ann", "Hi.\n\nerror: late")
        assert (item.case_id, item.trace_id, item.score) == (trace.id, trace.id, None)
    [feedback] = item.feedback
    assert (feedback.criterion, feedback.score, feedback.expected, feedback.reason) == (
        "warm",
        0.5,
        "a name",
        "no name",
    )
    assert pieces_of(trace) == {}


def test_a_program_of_several_steps_is_shown_step_by_step(make: Make) -> None:
    steps = [make.span(output=[make.message("assistant", f"step {n}")]) for n in (1, 2)]
    item = shown(make.trace(*steps, input="go", output="done"), recursive=False)
    assert item.output is not None
    assert [item.output.index(text) for text in ("done", "step 1", "step 2")] == sorted(
        item.output.index(text) for text in ("done", "step 1", "step 2")
    )


def test_a_long_text_is_shown_by_its_ends_and_read_in_pieces(make: Make) -> None:
    text = "begin\n" + "x" * 20_000 + "\n" + "line\n" * 1000 + "end"
    trace = make.trace(id="0123456789abcdef", output=text, file=_file(len(text)))
    item = shown(trace, recursive=True)
    assert item.input == "(the file a.md)"
    assert item.output is not None
    assert item.output.startswith("begin\n")
    assert item.output.endswith("\nend")
    assert f"[… {len(text) - 6000} characters left out …]" in item.output
    pieces = pieces_of(trace)
    assert list(pieces) == ["01234567.1", "01234567.2", "01234567.3", "01234567.4", "01234567.5"]
    assert "".join(pieces.values()) == text
    assert max(map(len, pieces.values())) <= 8000
    whole = shown(trace, recursive=False)
    assert whole.output == text


def test_a_long_trace_with_spans_is_read_span_by_span(make: Make) -> None:
    spans = [make.span(output=[make.message("assistant", f"{n} " * 3000)]) for n in (1, 2)]
    judge = make.span(SpanKind.JUDGE, output=[make.message("assistant", "graded")])
    pieces = pieces_of(make.trace(*spans, judge, id="ab", output="done"))
    assert [("1 1" in piece, "2 2" in piece) for piece in pieces.values()] == [(True, False), (False, True)]


def test_traces_are_studied_a_few_at_a_time(make: Make) -> None:
    short = [make.trace(output="a") for _ in range(9)]
    assert [len(chunk) for chunk in chunks(short)] == [4, 4, 1]
    long = [make.trace(output="a" * 80_000) for _ in range(3)]
    assert [len(chunk) for chunk in chunks(long)] == [1, 1, 1]
    assert list(chunks([])) == []
