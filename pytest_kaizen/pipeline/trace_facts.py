"""What a trace file tells of itself at a glance, so that many can be sorted without reading them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .trace_files import NewFile

_TASK_KEYS = ("task_id", "taskId", "task", "id")
_REQUEST_KEYS = ("user_request", "userRequest", "request", "question", "query", "input", "instruction")
_STEP_KEYS = ("steps", "spans", "messages", "events", "trace")
_TOOL_TYPES = ("tool_use", "tool_call", "function_call", "TOOL")
_LONGEST = 300
_LINES = 5
_HEADINGS = 20


def trace_facts(name: str, file: NewFile) -> dict[str, Any]:
    """Tell what a trace file is about.

    Args:
        name: What the file is called among the others.
        file: The file.

    Returns:
        ``filename``, ``type``, ``size`` in bytes; for JSON ``task_id``, ``user_request``, ``tools`` and
        ``steps``, as far as they are there; for other text its ``first_lines``, and the ``headings`` of
        Markdown.
    """
    facts: dict[str, Any] = {
        "filename": name,
        "type": file.file_type,
        "size": len(file.content.encode("utf-8", "replace")),
    }
    if file.file_type == "json":
        try:
            return {**facts, **_json_facts(json.loads(file.content))}
        except (ValueError, RecursionError):
            facts["not_json"] = True
    lines = [line.strip() for line in file.content.splitlines() if line.strip()]
    facts["first_lines"] = [_short(line) for line in lines[:_LINES]]
    if file.file_type == "md":
        facts["headings"] = [_short(line) for line in lines if line.startswith("#")][:_HEADINGS]
    return facts


def _json_facts(document: Any) -> dict[str, Any]:
    top = document if isinstance(document, dict) else {}
    steps = document if isinstance(document, list) else _first(top, _STEP_KEYS, list)
    task = _first(top, _TASK_KEYS, (str, int))
    request = _first(top, _REQUEST_KEYS, str) or next(_user_texts(document), None)
    tools = dict.fromkeys(name for value in _objects(document) for name in _tool_names(value))
    facts = {
        "task_id": task,
        "user_request": None if request is None else _short(request),
        "tools": list(tools),
        "steps": None if steps is None else len(steps),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _first(values: dict[str, Any], keys: tuple[str, ...], kind: type | tuple[type, ...]) -> Any:
    return next((values[key] for key in keys if values.get(key) and isinstance(values[key], kind)), None)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)


def _user_texts(document: Any) -> Iterator[str]:
    for value in _objects(document):
        if value.get("role") != "user":
            continue
        content = value.get("content")
        for part in content if isinstance(content, list) else [content]:
            text = part.get("text") if isinstance(part, dict) else part
            if isinstance(text, str) and text.strip():
                yield text


def _tool_names(value: dict[str, Any]) -> Iterator[str]:
    function = value.get("function")
    named = [
        value.get("tool_name"),
        value.get("tool"),
        value.get("name") if _TOOL_TYPES.count(value.get("type") or value.get("kind")) else None,
        function.get("name") if isinstance(function, dict) and "arguments" in function else None,
    ]
    return (name for name in named if isinstance(name, str) and name)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
