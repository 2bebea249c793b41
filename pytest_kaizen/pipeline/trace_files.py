"""Trace files: made traces of, told about at a glance, and sorted into batches of similar ones.

A batch is made by a plan that somebody else draws up.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..models import Trace, TraceFile, new_trace_id

if TYPE_CHECKING:
    from ..capture import Redactor


FileType = Literal["md", "json", "txt"]
FILE_TYPES: tuple[FileType, ...] = ("md", "json", "txt")

_TASK_KEYS = ("task_id", "taskId", "task", "id")
_REQUEST_KEYS = ("user_request", "userRequest", "request", "question", "query", "input", "instruction")
_STEP_KEYS = ("steps", "spans", "messages", "events", "trace")
_TOOL_TYPES = ("tool_use", "tool_call", "function_call", "TOOL")
_LONGEST = 300
_LINES = 5
_HEADINGS = 20

_PLACEHOLDER = re.compile(r"\{(traces_json|constraints)\}")

BATCH_PROMPT = """\
Sort these traces of an LLM's work into batches of similar ones, so that each batch can be studied by itself.
Traces belong together when they ask for the same kind of thing, use the same tools or fail in the same way.

Traces:
{traces_json}

Rules:
{constraints}

Answer with JSON alone:
{"batches": {"NAME": {"description": "what its traces have in common", "trace_files": ["FILENAME"]}}}
"""


class NewFile(NamedTuple):
    """A file to put in: its base name, its text and what kind of text that is."""

    filename: str
    content: str
    file_type: FileType


def file_type_of(filename: str) -> FileType:
    """Tell the kind of a file by the ending of its name; ``txt`` for any that is not known."""
    ending = filename.rpartition(".")[2].lower()
    return next((known for known in FILE_TYPES if known == ending), "txt")


def file_traces(files: Iterable[NewFile], redactor: Redactor, task: str | None = None) -> list[Trace]:
    """Make traces of files, without the secrets in them.

    Args:
        files: The files.
        redactor: Finds the secrets.
        task: The task that they are of.
    """
    now = datetime.now(UTC)
    return [_trace(file, redactor.text(file.content), task, now) for file in files]


def _trace(file: NewFile, content: str, task: str | None, now: datetime) -> Trace:
    size = len(content.encode("utf-8", "replace"))
    return Trace(
        id=new_trace_id(),
        task=task,
        name=file.filename,
        created_at=now,
        output=content,
        file=TraceFile(filename=file.filename, file_type=file.file_type, size=size),
    )


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


@dataclass(frozen=True)
class BatchBounds:
    """How many traces a batch may have.

    Attributes:
        least: At the least; where there are fewer traces than that, one batch of all will do.
        most: At the most.
    """

    least: int = 10
    most: int = 30

    def least_of(self, total: int) -> int:
        """Return how many a batch must have, where there are ``total``."""
        return min(self.least, total)

    def can_hold(self, total: int) -> bool:
        """Whether any plan keeps the bounds for so many traces."""
        least = self.least_of(total)
        return total == 0 or -(-total // self.most) <= total // least


def empty_plan(total: int) -> dict[str, Any]:
    """Return a plan without batches."""
    return {"batches": {}, "summary": _summary(total, {})}


def classification_prompt(
    facts: Sequence[Mapping[str, Any]], bounds: BatchBounds, template: str = BATCH_PROMPT
) -> str:
    """Write the prompt that asks a model for a plan.

    Args:
        facts: What ``trace_facts`` says of each trace.
        bounds: How large a batch may be.
        template: The prompt; ``{traces_json}`` and ``{constraints}`` are filled in where they stand.
    """
    least = bounds.least_of(len(facts))
    filled = {
        "traces_json": json.dumps(list(facts), indent=1),
        "constraints": f"- every trace is in exactly one batch\n"
        f"- a batch has {least} to {bounds.most} traces\n"
        f"- a trace is named by its filename as given above",
    }
    return _PLACEHOLDER.sub(lambda match: filled[match[1]], template)


def plan_violations(plan: Any, names: Iterable[str], bounds: BatchBounds) -> list[str]:
    """Say all that is wrong with a plan, a sentence each; none: it may be applied.

    Args:
        plan: What was read from the plan's file.
        names: The traces.
        bounds: How large a batch may be.
    """
    batches = plan.get("batches") if isinstance(plan, dict) else None
    if not isinstance(batches, dict):
        return ["the plan is no object with 'batches', an object of batches by name"]
    known = list(names)
    least, found = bounds.least_of(len(known)), []
    holders: dict[str, list[str]] = {}
    for batch, value in batches.items():
        files = value.get("trace_files") if isinstance(value, dict) else None
        if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
            found.append(f"batch '{batch}': 'trace_files' is no list of filenames")
            continue
        for name, times in Counter(files).items():
            holders.setdefault(name, []).append(batch)
            if times > 1:
                found.append(f"batch '{batch}': '{name}' is in it {times} times")
        if not least <= len(files) <= bounds.most:
            found.append(f"batch '{batch}': has {len(files)} traces (expected {least} to {bounds.most})")
    there = set(known)
    found += [
        f"'{name}' is no trace (in batch '{held[0]}')" for name, held in holders.items() if name not in there
    ]
    found += [
        f"'{name}' is in {_quoted(held)}" for name, held in holders.items() if len(held) > 1 and name in there
    ]
    found += [f"'{name}' is in no batch" for name in known if name not in holders]
    return found


def counted_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan without violations, with the summary counted anew."""
    sizes = {name: len(batch["trace_files"]) for name, batch in plan["batches"].items()}
    return {"batches": plan["batches"], "summary": _summary(sum(sizes.values()), sizes)}


def _summary(total: int, sizes: dict[str, int]) -> dict[str, Any]:
    return {"total_traces": total, "num_batches": len(sizes), "batch_sizes": sizes}


def _quoted(names: Sequence[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)
