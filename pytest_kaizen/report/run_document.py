"""The JSON report of a run: its shape, which ``run.schema.json`` beside this file publishes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field

from ..models import Case, GateResult, Run


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


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the report, as it is written."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **RunDocument.model_json_schema(mode="serialization"),
    }
