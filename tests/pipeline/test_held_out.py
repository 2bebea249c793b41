"""What is held out is so under the form that a case has it in, whoever measures."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_kaizen.models import Score, ScoreSource, Task, TraceFile
from pytest_kaizen.optimize import TaskCase, split_cases
from pytest_kaizen.pipeline.feedback.cases import logged_cases
from pytest_kaizen.pipeline.feedback.traced import entry_of_trace
from pytest_kaizen.pipeline.held_out import HeldOut
from pytest_kaizen.pipeline.suite_measure import case_input
from pytest_kaizen.store import Store

if TYPE_CHECKING:
    from tests.pipeline.conftest import Make

TEXTS = [f"person {number}" for number in range(40)]


def test_the_inputs_that_a_suite_is_compared_on(make: Make, tmp_path: Path) -> None:
    span = make.span(input=[make.message("system", "Greet.")])
    traces = [make.trace(span, id=text, task="greet", input=f"Greet. {text}") for text in TEXTS]
    split = split_cases(TaskCase(trace.id, case_input(trace)) for trace in traces)
    with Store.open(tmp_path / "kaizen.db") as store:
        held_out = HeldOut(store)
        assert [trace.id for trace in traces if trace in held_out] == sorted(
            (case.id for case in split.held_out), key=TEXTS.index
        )
        # A file is no case, and what is of no task is of no optimisation.
        file = TraceFile(filename="a.md", file_type="md", size=1)
        assert not any(trace.model_copy(update={"file": file}) in held_out for trace in traces)
        assert not any(trace.model_copy(update={"task": None}) in held_out for trace in traces)


def test_the_inputs_that_logged_feedback_is_compared_on(make: Make, tmp_path: Path) -> None:
    task = Task(id="8e1f2a34-0000-4000-8000-000000000000", name="greet", created_at=datetime.now(UTC))
    score = Score(name="user", value=0.5, source=ScoreSource.HUMAN)
    traces = [make.trace(id=text, task="greet", input=text) for text in TEXTS]
    traces += [make.trace(id=f"{text} too", task="greet", input={"name": text}) for text in TEXTS]
    logged = [case.case for case in logged_cases(entry_of_trace(trace, score, task) for trace in traces)]
    held_out_there = {case.input for case in split_cases(logged).held_out}
    assert len(held_out_there) > 10
    with Store.open(tmp_path / "kaizen.db") as store:
        before = [trace.id for trace in traces if trace in HeldOut(store)]
        store.tasks.add(task)
        after = [trace.id for trace in traces if trace in HeldOut(store)]
    assert set(before) < set(after)
    for trace, case in zip(traces, logged, strict=True):
        if case.input in held_out_there:
            assert trace.id in after
