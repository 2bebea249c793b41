"""Traces and runs as the JSON that other programs read.

``run.schema.json`` beside this file publishes the shape of a run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field

from ..models import Case, GateResult, Run, Trace

#: What a trace is known by without its content.
META_KEYS = ("id", "filename", "fileType", "size", "uploadedAt")
_SCORE_KEYS = ("name", "value", "source", "reason", "error", "rubric")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 80


class SampleDocument(BaseModel, defer_build=True):
    """One execution of a case's body; the fields are those of ``models.Sample``.

    Attributes:
        trace_id: What ``kaizen traces show`` takes.
        sample: Its number within the case, from 0.
    """

    trace_id: str
    sample: int
    passed: bool | None
    error: str | None
    metrics: dict[str, float | None]
    missing: dict[str, str]
    prompts: dict[str, tuple[int, str]]
    rubrics: dict[str, str]


class CaseDocument(BaseModel, defer_build=True):
    """One test item that exercised a task."""

    id: str
    task: str
    outcome: str
    complete: bool
    samples: list[SampleDocument]
    gates: list[GateResult]


class RunDocument(Run):
    """A run with its cases."""

    cases: list[CaseDocument] = Field(default_factory=list)


def run_document(run: Run, cases: Iterable[Case]) -> RunDocument:
    """Put a run and its cases together."""
    return RunDocument(**dict(run), cases=[_case(case) for case in cases])


def _case(case: Case) -> CaseDocument:
    samples = [
        SampleDocument(
            trace_id=sample.trace.id,
            sample=sample.trace.sample,
            **{name: value for name, value in sample if name != "trace"},
        )
        for sample in case.samples
    ]
    return CaseDocument(**{**dict(case), "samples": samples})


def run_schema() -> dict[str, Any]:
    """Return the JSON Schema of the report, as it is written."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **RunDocument.model_json_schema(mode="serialization"),
    }


def trace_json(trace: Trace) -> dict[str, Any]:
    """Give a trace the shape that ``--json``, reports and the server share.

    ``size`` is that of ``trace_content`` in bytes. A score that failed has the value null and an
    ``error``. What JSON has no word for (infinity, not a number) is null.
    """
    content, file = _content(trace), trace.file
    return {
        "id": trace.id,
        "filename": file.filename if file else f"{_slug(trace.name) or trace.id}.json",
        "fileType": file.file_type if file else "json",
        "size": file.size if file else len(_compact(content).encode("utf-8", "replace")),
        "uploadedAt": content["created_at"],
        **content,
    }


def trace_content(trace: Trace) -> str:
    """Return a trace as one text: the file it was put in as, else all but its file keys as JSON."""
    return str(trace.output) if trace.file else _compact(_content(trace))


def _content(trace: Trace) -> dict[str, Any]:
    values = plain_values(trace)
    return {
        "run_id": values["run_id"],
        "task": values["task"],
        "case_id": values["case_id"],
        "sample": values["sample"],
        "name": values["name"],
        "created_at": values["created_at"],
        "input": values["input"],
        "output": values["output"],
        "reference": values["reference"],
        "error": values["error"],
        "metadata": values["metadata"],
        "scores": [{key: score[key] for key in _SCORE_KEYS} for score in values["scores"]],
        "spans": values["spans"],
    }


def _compact(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def run_json(run: Run, cases: Iterable[Case] | None = None) -> dict[str, Any]:
    """Give a run the same kind of shape.

    Args:
        run: The run.
        cases: Its cases, to go with it under ``cases``; samples name their trace by ``trace_id``.
    """
    return plain_values(run if cases is None else run_document(run, cases))


def plain_values(model: BaseModel) -> dict[str, Any]:
    """Return a model's values as JSON has them; infinity and not a number are null."""
    # Through text, not `mode="json"`: that would leave infinities, which are no JSON.
    values: dict[str, Any] = json.loads(model.model_dump_json())
    return values


def _slug(name: str) -> str:
    return _NOT_IN_NAMES.sub("-", name.lower()).strip("-")[:_LONGEST_NAME].rstrip("-")
