from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.capture import Recorder
from pytest_kaizen.models import Message, Part, Span, SpanKind
from pytest_kaizen.pipeline import NO_TASK, CasePlan, LiveSample, current, current_sample

if TYPE_CHECKING:
    from tests.pipeline.conftest import Make


def live(**plan: Any) -> LiveSample:
    return LiveSample(CasePlan(case_id="t.py::t", name="t", **plan), run_id="r")


def answered(make: Make, text: str = "out", **fields: Any) -> Span:
    return make.span(input=[make.message("user", "in")], output=[make.message("assistant", text)], **fields)


def test_the_last_llm_call_fills_what_was_not_given(make: Make) -> None:
    spans = [answered(make, "first"), answered(make, "second"), answered(make, "judged", kind=SpanKind.JUDGE)]
    content = live().complete_content(spans)
    assert (content.input, content.output, content.reference) == ("in", "second", None)


@pytest.mark.parametrize("given", [{"input": "own"}, {"output": ""}, {"input": 0, "output": False}])
def test_what_was_given_stands_even_when_it_is_empty(make: Make, given: dict[str, Any]) -> None:
    sample = live()
    for name, value in given.items():
        setattr(sample.content, name, value)
    content = sample.complete_content([answered(make)])
    expected = {"input": "in", "output": "out"} | given
    assert {"input": content.input, "output": content.output} == expected


def test_without_a_call_there_is_nothing(make: Make) -> None:
    content = live().complete_content([make.span(SpanKind.TOOL)])
    assert (content.input, content.output) == (None, None)


def test_a_call_that_failed_has_no_output(make: Make) -> None:
    failed = make.span(input=[make.message("user", "in")], error="HTTP 500")
    content = live().complete_content([answered(make, "earlier"), failed])
    assert (content.input, content.output) == ("in", None)


def test_an_answer_without_text_is_an_empty_one(make: Make) -> None:
    call = Message(role="assistant", parts=[Part(type="tool_call")])
    assert live().complete_content([make.span(output=[call])]).output == ""


def test_several_messages_are_told_apart_by_their_roles(make: Make) -> None:
    span = make.span(
        input=[make.message("system", "Be kind."), make.message("user", "Hi"), Message(role="tool", parts=[])]
    )
    assert live().complete_content([span]).input == "[system]\nBe kind.\n\n[user]\nHi"


def test_trace_says_whose_it_is() -> None:
    sample = live(task="greet")
    sample.prompts["greet"] = (2, "abc")
    trace = sample.trace(error="ValueError")
    assert (trace.id, trace.run_id, trace.task, trace.case_id) == (sample.trace_id, "r", "greet", "t.py::t")
    assert (trace.name, trace.sample, trace.error) == ("t", 0, "ValueError")
    assert trace.metadata == {"prompts": {"greet": {"version": 2, "sha256": "abc"}}}
    assert live(task=NO_TASK).trace().task is None


def test_a_trace_taken_early_does_not_change(make: Make) -> None:
    sample = live()
    early = sample.trace()
    sample.scores.append(make.score("a", 1.0))
    assert early.scores == []


def test_current_is_of_its_context_and_nests() -> None:
    outer, inner = live(), live()
    assert current_sample() is None
    with current(outer):
        with current(inner):
            assert current_sample() is inner
        assert current_sample() is outer
        seen: list[LiveSample | None] = []
        thread = threading.Thread(target=lambda: seen.append(current_sample()))
        thread.start()
        thread.join()
        assert seen == [None]
    assert current_sample() is None


def test_each_sample_has_a_recorder_and_an_id_of_its_own() -> None:
    one, two = live(), live()
    assert isinstance(one.recorder, Recorder)
    assert one.recorder is not two.recorder
    assert one.trace_id != two.trace_id
