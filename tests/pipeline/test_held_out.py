"""What is held out is so under the form that a case has it in, whoever measures."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.config import Config
from pytest_kaizen.models import Score, ScoreSource, Task, TraceFile
from pytest_kaizen.optimize import TaskCase, split_cases
from pytest_kaizen.pipeline.feedback import entry_of_trace
from pytest_kaizen.pipeline.feedback.logged import logged_cases
from pytest_kaizen.pipeline.insights import is_kept_back
from pytest_kaizen.pipeline.measures import case_input

if TYPE_CHECKING:
    from tests.pipeline.conftest import Make

CONFIG = Config(root=Path(), store=Path("kaizen.db"))
NAMES = [f"person {number}" for number in range(40)]
INPUTS: list[Any] = [*NAMES, *({"name": name} for name in NAMES), *(f"Greet. {name}" for name in NAMES)]


def test_the_inputs_that_a_suite_is_compared_on(make: Make) -> None:
    span = make.span(input=[make.message("system", "Greet.")])
    traces = [make.trace(span, id=str(n), task="greet", input=given) for n, given in enumerate(INPUTS)]
    held_out = {case.id for case in split_cases(TaskCase(t.id, case_input(t)) for t in traces).held_out}
    assert len(held_out) > 20
    assert [trace.id for trace in traces if trace.id in held_out and not is_kept_back(trace, CONFIG)] == []
    # Where both forms are the same, nothing else is kept back.
    assert {trace.id for trace in traces[:80] if is_kept_back(trace, CONFIG)} == {
        i for i in held_out if int(i) < 80
    }


def test_the_inputs_that_logged_feedback_is_compared_on(make: Make) -> None:
    task = Task(name="greet", created_at=datetime.now(UTC))
    score = Score(name="user", value=0.5, source=ScoreSource.HUMAN)
    span = make.span(input=[make.message("system", "Greet.")])
    traces = [make.trace(span, task="greet", input=given) for given in INPUTS]
    logged = [case.case for case in logged_cases(entry_of_trace(trace, score, task) for trace in traces)]
    held_out = {case.id for case in split_cases(logged).held_out}
    assert len(held_out) > 20
    pairs = zip(traces, logged, strict=True)
    assert [
        case.input for trace, case in pairs if case.id in held_out and not is_kept_back(trace, CONFIG)
    ] == []


@pytest.mark.parametrize(
    "fields", [{"task": None}, {"file": TraceFile(filename="a.md", file_type="md", size=1)}]
)
def test_what_is_no_case_is_not_kept_back(fields: dict[str, Any], make: Make) -> None:
    traces = [make.trace(**{"task": "greet", "input": given, **fields}) for given in INPUTS]
    assert not any(is_kept_back(trace, CONFIG) for trace in traces)
