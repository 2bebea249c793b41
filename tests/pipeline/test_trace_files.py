from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_kaizen.pipeline.trace_files import FileType, NewFile, trace_facts


def facts(content: str, kind: FileType = "json") -> dict[str, Any]:
    found = trace_facts("name", NewFile("file", content, kind))
    assert (found.pop("filename"), found.pop("type"), found.pop("size")) == (
        "name",
        kind,
        len(content.encode()),
    )
    return found


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {
                "task_id": 7,
                "user_request": "Buy  milk",
                "steps": [{"tool": "shop"}, {"tool": "pay"}, {"tool": "shop"}],
            },
            {"task_id": 7, "user_request": "Buy milk", "tools": ["shop", "pay"], "steps": 3},
        ),
        (
            [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Hello"}]},
                {"role": "assistant", "content": [{"type": "tool_use", "name": "look", "input": {}}]},
            ],
            {"user_request": "Hello", "tools": ["look"], "steps": 3},
        ),
        (
            {
                "messages": [
                    {"tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]}
                ]
            },
            {"tools": ["f"], "steps": 1},
        ),
        (
            {
                "id": "x",
                "input": "Ask",
                "spans": [{"kind": "TOOL", "name": "t"}, {"kind": "LLM", "name": "m"}],
            },
            {"task_id": "x", "user_request": "Ask", "tools": ["t"], "steps": 2},
        ),
        ("only text", {"tools": []}),
        ({"messages": [{"role": "user", "content": None}]}, {"tools": [], "steps": 1}),
    ],
)
def test_json(document: Any, expected: dict[str, Any]) -> None:
    assert facts(json.dumps(document)) == expected


def test_long_requests_are_cut() -> None:
    request = facts(json.dumps({"input": "a" * 301}))["user_request"]
    assert request == "a" * 299 + "…"


@pytest.mark.parametrize("content", ["{broken", "[" * 100_000])
def test_what_is_no_json_is_text(content: str) -> None:
    found = facts(content)
    assert found["not_json"] is True
    assert found["first_lines"][0].startswith(content[:7])


def test_markdown() -> None:
    assert facts("\n# One\n\ntext\n## Two\n1\n2\n3\n4", "md") == {
        "first_lines": ["# One", "text", "## Two", "1", "2"],
        "headings": ["# One", "## Two"],
    }


def test_text_has_no_headings() -> None:
    assert facts("# no heading", "txt") == {"first_lines": ["# no heading"]}
