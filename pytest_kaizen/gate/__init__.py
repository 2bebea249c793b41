"""Verdicts: values in, ``GateResult``s out; no input, no output, no clock."""

from __future__ import annotations

from .bars import case_gate, gate_draw, gate_test, mean_interval, task_gate, task_test
from .betting import (
    Family,
    SequentialTest,
    Verdict,
    confidence_interval,
    is_decided,
    sequential_verdict,
    verdict_of,
)
from .draws import TaskDraws
from .drop import (
    Pair,
    case_drop_gate,
    case_rule,
    change_interval,
    change_test,
    drop_gate,
    drop_test,
    without_baseline,
)
from .prompt import VersionRequirement, parse_requirement, prompt_gate

__all__ = [
    "Family",
    "Pair",
    "SequentialTest",
    "TaskDraws",
    "Verdict",
    "VersionRequirement",
    "case_drop_gate",
    "case_gate",
    "case_rule",
    "change_interval",
    "change_test",
    "confidence_interval",
    "drop_gate",
    "drop_test",
    "gate_draw",
    "gate_test",
    "is_decided",
    "mean_interval",
    "parse_requirement",
    "prompt_gate",
    "sequential_verdict",
    "task_gate",
    "task_test",
    "verdict_of",
    "without_baseline",
]
