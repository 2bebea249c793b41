"""What pytest's own report says of a case: properties of its test, which JUnit XML shows."""

from __future__ import annotations

from statistics import fmean

import pytest

from ..models import Case

_PREFIX = "kaizen_"


def set_properties(item: pytest.Item, case: Case) -> None:
    """Give a test the figures of its case; those of an earlier attempt are replaced."""
    item.user_properties[:] = [
        (name, value) for name, value in item.user_properties if not name.startswith(_PREFIX)
    ]
    item.user_properties += [(f"{_PREFIX}{name}", value) for name, value in _figures(case).items()]


def _figures(case: Case) -> dict[str, str]:
    metrics = [sample.metrics for sample in case.samples]
    scores = [values["score"] for values in metrics if "score" in values]
    costs = [values["cost_usd"] for values in metrics if "cost_usd" in values]
    prompts = {
        f"{task} v{version}" for sample in case.samples for task, (version, _) in sample.prompts.items()
    }
    figures = {
        "task": case.task,
        "samples": str(len(case.samples)),
        "score": f"{fmean(scores):.4f}" if scores else "",
        "prompt": ", ".join(sorted(prompts)),
        "cost_usd": f"{sum(costs):.6f}" if len(costs) == len(metrics) else "",
        "gates": "; ".join(f"{gate.outcome}: {gate.sentence}" for gate in case.gates),
    }
    return {name: value for name, value in figures.items() if value}
