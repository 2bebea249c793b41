"""What pytest-xdist's workers and controller tell each other.

A worker stores its samples itself, so that one that is killed loses only the sample in flight. What
the controller needs for its books comes along with the reports: each finished case as JSON and, with
a worker's first one, what there is to run. A report takes no objects, only plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ..models import Case
from ..pipeline import Collected
from ..store.table import storable_json

#: The attribute of a report, and the key in what a worker is given and gives back.
_KEY = "kaizen"


class Handover(BaseModel, defer_build=True):
    """What comes with a report.

    Attributes:
        case: A case that has come to its outcome.
        unstored: Why something of this worker is not on disk.
        edited: Lines on prompt versions that were edited since an earlier run recorded them.
        cases, rubrics, beyond, confidences: The fields of ``Collected``, rubrics by their paths; with
            a worker's first report.
    """

    case: Case
    unstored: str | None = None
    edited: list[str] = []
    cases: dict[str, int] | None = None
    rubrics: dict[str, list[Path]] = {}
    beyond: dict[str, str] = {}
    confidences: list[float] = []

    def say(self, collected: Collected) -> None:
        """Add what there is to run."""
        self.cases = dict(collected.cases)
        self.rubrics = {task: [r.path for r in rubrics] for task, rubrics in collected.rubrics.items()}
        self.beyond = dict(collected.beyond)
        self.confidences = list(collected.confidences)

    @property
    def collected(self) -> Collected | None:
        """What there is to run; None if this report does not say."""
        if self.cases is None:
            return None
        # Not above: a suite without rubrics need not wait for it.
        from ..score import load_rubric

        rubrics = {task: tuple(map(load_rubric, paths)) for task, paths in self.rubrics.items()}
        return Collected(self.cases, rubrics, self.beyond, self.confidences)

    def attach(self, report: pytest.TestReport) -> None:
        """Let a worker's report take this along."""
        vars(report)[_KEY] = storable_json(self)

    @classmethod
    def take(cls, report: pytest.TestReport) -> Handover | None:
        """Take this off a report that a worker sent."""
        text = vars(report).pop(_KEY, None)
        return None if text is None else cls.model_validate_json(text)


def given_run(config: pytest.Config) -> str | None:
    """Return the id of the run that a worker is to work for; None in any other process."""
    workerinput: Mapping[str, Any] | None = getattr(config, "workerinput", None)
    return None if workerinput is None else workerinput[_KEY]


def give_run(node: Any, run_id: str) -> None:
    """Tell a worker which run it is to work for."""
    node.workerinput[_KEY] = run_id


def refuse(config: pytest.Config, why: str) -> None:
    """Let a worker say why it does not run: its own exit status would tell the controller nothing."""
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:
        output[_KEY] = why


def refusal(node: Any) -> str | None:
    """Return why a worker does not run."""
    output: Mapping[str, Any] = getattr(node, "workeroutput", None) or {}
    return output.get(_KEY)
