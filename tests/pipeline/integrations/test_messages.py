"""What tracers keep of a call to a model, as messages of ours."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_kaizen.models import SpanKind
from pytest_kaizen.pipeline.integrations.remote import alone, exchange_of

USER = {"role": "user", "content": "q"}
TOOL_CALL = {"id": "c", "name": "search", "args": {"q": 1}}
THEIR_CALL = {"id": "c", "type": "function", "function": {"name": "search", "arguments": '{"q": 1}'}}


def parts(messages: Any) -> list[tuple[str, list[Any]]]:
    return [
        (message.role, [part.content or part.model_dump(exclude_none=True) for part in message.parts])
        for message in messages
    ]


CALL = {"type": "tool_call", "id": "c", "name": "search", "arguments": {"q": 1}}


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"messages": [USER]}, [("user", ["q"])]),
        ([USER], [("user", ["q"])]),
        ({"messages": [[USER]]}, [("user", ["q"])]),
        ({"system": "s", "messages": [USER], "max_tokens": 5}, [("system", ["s"]), ("user", ["q"])]),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "c", "name": "search", "input": {"q": 1}}],
                    }
                ]
            },
            [("assistant", [CALL])],
        ),
        ({"model": "gpt-5", "input": "q"}, [("user", ["q"])]),
        ({"messages": [{"type": "human", "content": "q"}]}, [("user", ["q"])]),
        ({"messages": [{"type": "human", "data": {"content": "q"}}]}, [("user", ["q"])]),
        (
            {
                "messages": [
                    {
                        "id": ["langchain", "schema", "messages", "ToolMessage"],
                        "kwargs": {"content": "r", "tool_call_id": "c"},
                    }
                ]
            },
            [("tool", [{"type": "tool_call_response", "id": "c", "response": "r"}])],
        ),
        (
            {"messages": [{"type": "ai", "content": "", "tool_calls": [TOOL_CALL]}]},
            [("assistant", [CALL])],
        ),
        (
            {"messages": [{"type": "ai", "content": "", "tool_calls": [THEIR_CALL]}]},
            [("assistant", [CALL])],
        ),
        # What is none of these is text.
        ({"prompt": "q"}, [("user", ["q"])]),
        ({"messages": ["q"]}, [("user", ['["q"]'])]),
        (
            {"messages": [{"type": "novel"}], "k": 1},
            [("user", ['{"messages": [{"type": "novel"}], "k": 1}'])],
        ),
        ({"messages": [{"role": 3}], "k": 1}, [("user", ['{"messages": [{"role": 3}], "k": 1}'])]),
        ("q", [("user", ["q"])]),
        (None, []),
    ],
)
def test_what_was_asked(inputs: Any, expected: Any) -> None:
    assert parts(exchange_of(SpanKind.LLM, inputs, None).input) == expected


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"choices": [{"message": {"role": "assistant", "content": "a"}}]}, [("assistant", ["a"])]),
        ({"role": "assistant", "content": [{"type": "text", "text": "a"}]}, [("assistant", ["a"])]),
        (
            {
                "model": "gpt-5",
                "output": [
                    {
                        "type": "message",
                        "role": "assistant",
                        "content": [{"type": "output_text", "text": "a"}],
                    }
                ],
            },
            [("assistant", ["a"])],
        ),
        ({"generations": [[{"text": "a"}]]}, [("assistant", ["a"])]),
        (
            {"generations": [[{"text": "x", "message": {"type": "ai", "content": "a"}}]]},
            [("assistant", ["a"])],
        ),
        ({"messages": [{"type": "ai", "content": "a"}]}, [("assistant", ["a"])]),
        ([{"role": "assistant", "content": "a"}], [("assistant", ["a"])]),
        ({"message": {"role": "assistant", "content": "a"}}, [("assistant", ["a"])]),
        ({"output": {"type": "ai", "content": "a"}}, [("assistant", ["a"])]),
        ({"role": "assistant", "content": "a"}, [("assistant", ["a"])]),
        ({"output": "a"}, [("assistant", ["a"])]),
        (["a", 1], [("assistant", ['["a", 1]'])]),
        ("a", [("assistant", ["a"])]),
        (None, []),
    ],
)
def test_what_was_answered(outputs: Any, expected: Any) -> None:
    assert parts(exchange_of(SpanKind.LLM, None, outputs).output) == expected


def test_which_model() -> None:
    asked = {"model": "gpt-5", "messages": [USER]}
    answered = {"model": "gpt-5-2026", "choices": []}
    assert exchange_of(SpanKind.LLM, asked, None).model == "gpt-5"
    assert exchange_of(SpanKind.LLM, asked, answered).model == "gpt-5-2026"
    assert exchange_of(SpanKind.TOOL, asked, answered).model is None


def test_a_step_that_is_no_call_is_text() -> None:
    exchange = exchange_of(SpanKind.TOOL, {"messages": [USER]}, {"x": 1})
    assert parts(exchange.input) == [("user", ['{"messages": [{"role": "user", "content": "q"}]}'])]
    assert parts(exchange.output) == [("tool", ['{"x": 1}'])]
    assert parts(exchange_of(SpanKind.CHAIN, None, "a").output) == [("assistant", ["a"])]


def test_the_value_of_one_key_alone() -> None:
    assert (alone({"q": 1}), alone({"q": 1, "r": 2}), alone("x")) == (1, {"q": 1, "r": 2}, "x")
