"""Traces and runs as the JSON that other programs read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from ..models import Case, Run, Sample, Trace

_SCORE_KEYS = ("name", "value", "source", "reason", "error", "rubric")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 80


def trace_json(trace: Trace) -> dict[str, Any]:
    """Give a trace the shape that ``--json``, reports and the server share.

    ``size`` is that of the content in bytes: everything but ``id`` and the four file keys, as
    compact JSON in UTF-8. A score that failed has the value null and an ``error``. What JSON has no
    word for (infinity, not a number) is null.
    """
    values = _plain_values(trace)
    content = {
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
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return {
        "id": trace.id,
        "filename": f"{_slug(trace.name) or trace.id}.json",
        "fileType": "json",
        "size": len(text.encode("utf-8", "replace")),
        "uploadedAt": values["created_at"],
        **content,
    }


def run_json(run: Run, cases: Iterable[Case] | None = None) -> dict[str, Any]:
    """Give a run the same kind of shape.

    Args:
        run: The run.
        cases: Its cases, to go with it under ``cases``; samples name their trace by ``trace_id``.
    """
    values = _plain_values(run)
    if cases is not None:
        values["cases"] = [_case_json(case) for case in cases]
    return values


def _case_json(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "task": case.task,
        "outcome": case.outcome,
        "complete": case.complete,
        "samples": [_sample_json(sample) for sample in case.samples],
        "gates": [_plain_values(gate) for gate in case.gates],
    }


def _sample_json(sample: Sample) -> dict[str, Any]:
    verdict = json.loads(sample.model_dump_json(exclude={"trace"}))
    return {"trace_id": sample.trace.id, "sample": sample.trace.sample, **verdict}


def _plain_values(model: Any) -> dict[str, Any]:
    # Through text, not `mode="json"`: that would leave infinities, which are no JSON.
    values: dict[str, Any] = json.loads(model.model_dump_json())
    return values


def _slug(name: str) -> str:
    return _NOT_IN_NAMES.sub("-", name.lower()).strip("-")[:_LONGEST_NAME].rstrip("-")
