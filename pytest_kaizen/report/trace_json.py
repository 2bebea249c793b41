"""Traces and runs as the JSON that other programs read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from ..models import Case, Run, Trace
from .run_document import run_document

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
    return _plain_values(run if cases is None else run_document(run, cases))


def _plain_values(model: Any) -> dict[str, Any]:
    # Through text, not `mode="json"`: that would leave infinities, which are no JSON.
    values: dict[str, Any] = json.loads(model.model_dump_json())
    return values


def _slug(name: str) -> str:
    return _NOT_IN_NAMES.sub("-", name.lower()).strip("-")[:_LONGEST_NAME].rstrip("-")
