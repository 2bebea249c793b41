from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.gate import Family, TaskDraws, case_gate, gate_draw, gate_test, task_gate
from pytest_kaizen.models import GateResult, GateSpec, Outcome, Scope

UNIT = st.floats(0, 1)


def _spec(metric: str = "score", **bar: Any) -> GateSpec:
    return GateSpec(metric=metric, scope=Scope.CASE, task="t", origin="test_x.py::test", **bar)


def _case(spec: GateSpec, values: Sequence[float | None], **more: Any) -> GateResult:
    return case_gate(spec, values, case_id="test_x.py::test", **more)


def _task(spec: GateSpec, cases: dict[str, list[float | None]], **more: Any) -> GateResult:
    counts = {"collected": len(cases), "ran": len(cases)}
    return task_gate(spec.model_copy(update={"scope": Scope.TASK}), cases, **{**counts, **more})


@pytest.mark.parametrize(
    ("spec", "values", "sentence"),
    [
        (_spec(min=0.8), [0.83] * 40, "score 0.83 [0.69, 0.92] >= 0.80: pass over 40 samples"),
        (_spec(min=0.8), [0.5], "score 0.50 [0.05, 0.95] >= 0.80: fail over 1 sample"),
        (_spec(min=0.8), [0.7996] * 9, "score 0.7996 [0.47, 0.95] >= 0.80: fail over 9 samples"),
        (_spec(min=0.125), [0.125], "score 0.125 [0.004, 0.841] >= 0.125: pass over 1 sample"),
        (_spec("toxic", max=0.1), [0.2] * 10, "toxic 0.20 [0.06, 0.51] <= 0.10: fail over 10 samples"),
        (_spec("cost_usd", max=0.01), [0.0021], "cost_usd 0.0021 <= 0.01: pass over 1 sample"),
        (_spec("cost_usd", max=0.01), [0.0100004], "cost_usd 0.0100004 <= 0.01: fail over 1 sample"),
        (_spec("cost_usd", max=0.00001), [1.23456e-7], "cost_usd 0.000000123 <= 0.00001: pass over 1 sample"),
        (
            _spec("latency_ms", max=5000),
            [5213.44, 6000.0],
            "latency_ms 5607 <= 5000: fail over 2 samples",
        ),
        (
            _spec("calls", min=1, share=1),
            [1, 2],
            "calls 100% [34%, 100%] >= 1 in 100% of samples: pass over 2 samples",
        ),
        (
            _spec("latency_ms", max=5000, share=0.95),
            [100.0] * 36 + [9000.0] * 4,
            "latency_ms 90% [77%, 96%] <= 5000 in 95% of samples: fail over 40 samples",
        ),
    ],
)
def test_sentences_without_confidence(spec: GateSpec, values: list[float | None], sentence: str) -> None:
    assert _case(spec, values).sentence == sentence


def test_the_fields_of_a_result() -> None:
    result = _case(_spec(min=0.8), [0.9, None, 0.8], missing=["judge timed out"])
    assert result.interval is not None
    assert result.model_dump(exclude={"interval"}) == {
        "scope": Scope.CASE,
        "task": "t",
        "case_id": "test_x.py::test",
        "name": "score",
        "figure": pytest.approx(0.85),
        "bar": ">= 0.80",
        "samples": 2,
        "missing": 1,
        "outcome": Outcome.UNDECIDED,
        "sentence": "score 0.85 [0.25, 0.99] >= 0.80: undecided over 2 samples, 1 missing (judge timed out)",
        "origin": "test_x.py::test",
    }


@pytest.mark.parametrize("values", [[0.8], [0.1 + 0.7], [0.7, 0.9], [0.8 - 1e-10]])
def test_a_mean_at_the_bar_passes(values: list[float | None]) -> None:
    assert _case(_spec(min=0.8), values).outcome is Outcome.PASS


def test_missing_values_do_not_save_a_failing_mean() -> None:
    result = _case(_spec(min=0.8), [0.5, None], missing=["judge\n  timed out"])
    assert result.outcome is Outcome.FAIL
    assert result.sentence.endswith("fail over 1 sample, 1 missing (judge timed out)")


@pytest.mark.parametrize(
    ("spec", "values", "missing", "sentence"),
    [
        (_spec(min=0.8), [], [], "score >= 0.80: fail, nothing was scored"),
        (
            _spec("sum", min=0.8),
            [None] * 3,
            ["no reply", "x"],
            "sum >= 0.80: fail, nothing was scored in 3 samples (no reply)",
        ),
        (_spec("calls", max=3), [None], [], "calls <= 3: fail, nothing was captured in 1 sample"),
        (
            _spec("cost_usd", max=3, share=0.9, confidence=0.9),
            [None],
            ["no price for m"],
            "cost_usd <= 3 in 90% of samples: fail, no value was had in 1 sample (no price for m)",
        ),
    ],
)
def test_never_green_without_values(
    spec: GateSpec, values: list[float | None], missing: list[str], sentence: str
) -> None:
    result = _case(spec, values, missing=missing)
    assert (result.outcome, result.figure, result.sentence) == (Outcome.FAIL, None, sentence)


def test_a_long_reason_is_cut() -> None:
    sentence = _case(_spec(min=0.8), [None], missing=["x" * 1000]).sentence
    assert sentence.endswith("xxx...)")
    assert len(sentence) < 250


@pytest.mark.parametrize(
    ("spec", "values", "sentence"),
    [
        (
            _spec("s.faithful", min=0.8, confidence=0.95),
            [1.0] * 40,
            "s.faithful 1.00 [0.77, 1.00] >= 0.80: pass after 20 of 40 samples (error <= 5%)",
        ),
        (
            _spec(min=0.8, confidence=0.99),
            [0.0] * 40,
            "score 0.00 [0.00, 0.81] >= 0.80: fail after 4 of 40 samples (error <= 1%)",
        ),
        (
            _spec(min=0.8, confidence=0.95),
            [0.8] * 10,
            "score 0.80 [0.48, 0.88] >= 0.80: undecided after 10 of 10 samples (error <= 5%)",
        ),
        (
            _spec("toxic", max=0.2, confidence=0.95),
            [0.0] * 40,
            "toxic 0.00 [0.00, 0.23] <= 0.20: pass after 20 of 40 samples (error <= 5%)",
        ),
        (
            _spec("latency_ms", max=100, share=0.8, confidence=0.95),
            [50.0] * 40,
            "latency_ms 100% [77%, 100%] <= 100 in 80% of samples: pass after 20 of 40 samples (error <= 5%)",
        ),
    ],
)
def test_sequential_sentences(spec: GateSpec, values: list[float | None], sentence: str) -> None:
    assert _case(spec, values).sentence == sentence


def test_missing_samples_leave_a_sequential_pass_undecided() -> None:
    result = _case(_spec(min=0.8, confidence=0.95), [None, *[1.0] * 39], missing=["no reply"])
    assert (result.outcome, result.samples, result.missing) == (Outcome.UNDECIDED, 20, 1)
    assert result.sentence.endswith("undecided after 20 of 40 samples, 1 missing (no reply) (error <= 5%)")


def test_what_comes_after_the_verdict_is_not_looked_at() -> None:
    spec = _spec(min=0.8, confidence=0.95)
    here, there = _case(spec, [1.0] * 20 + [None] * 20), _case(spec, [1.0] * 20 + [0.0] * 20)
    assert here == there
    assert (here.outcome, here.figure, here.missing) == (Outcome.PASS, 1.0, 0)


def test_planned_samples_that_were_saved_are_counted() -> None:
    result = _case(_spec(min=0.8, confidence=0.95), [1.0] * 20, planned=40)
    assert "pass after 20 of 40 samples" in result.sentence


def test_a_verdict_of_a_family_is_taken_over() -> None:
    spec = _spec(min=0.8, confidence=0.95)
    test = gate_test(spec)
    for _ in range(40):
        test.update(gate_draw(spec, 1.0))
    family = Family([0.95, 0.95])
    family.enter("case", test)
    result = _case(spec, [1.0] * 40, verdict=family.verdict(test), family=family)
    assert result.sentence == (
        "score 1.00 [0.80, 1.00] >= 0.80: pass after 24 of 40 samples (error <= 5% over 2 gates)"
    )


def test_a_gate_without_confidence_has_no_test() -> None:
    with pytest.raises(ValueError, match=r"'score >= 0.80' is not decided by a test on its own samples"):
        gate_test(_spec(min=0.8))


def test_a_task_counts_each_case_alike() -> None:
    result = _task(_spec(min=0.5), {"a": [1.0] * 9, "b": [0.0]})
    assert result.figure == 0.5
    assert result.sentence == "score 0.50 [0.09, 0.91] >= 0.50: pass over 10 samples"
    assert (result.scope, result.case_id) == (Scope.TASK, None)


def test_the_share_of_a_task_counts_each_case_alike() -> None:
    cases: dict[str, list[float | None]] = {"a": [1.0] * 9, "b": [9.0]}
    assert _task(_spec("calls", max=2, share=0.9), cases).figure == 0.5


def test_a_task_of_which_not_all_ran_decides_nothing() -> None:
    result = _task(_spec(min=0.5), {"a": [0.0], "b": [0.0], "c": [0.0]}, collected=40)
    assert (result.outcome, result.figure) == (Outcome.NOT_RUN, None)
    assert result.sentence == "score >= 0.50: not decided: 3 of 40 cases ran"
    none = _task(_spec(min=0.5), {}, collected=0)
    assert (none.outcome, none.sentence) == (
        Outcome.NOT_RUN,
        "score >= 0.50: not decided: no case was collected",
    )


def test_a_case_of_a_task_without_any_value() -> None:
    result = _task(_spec(min=0.5), {"a": [1.0], "b": [None], "c": []}, missing=["no reply"])
    assert (result.outcome, result.missing, result.samples) == (Outcome.UNDECIDED, 2, 1)
    nothing = _task(_spec(min=0.5), {"a": [None], "b": []})
    assert (nothing.outcome, nothing.sentence) == (
        Outcome.FAIL,
        "score >= 0.50: fail, nothing was scored in 1 sample",
    )


def test_a_sequential_task_gate_does_not_depend_on_the_order_of_its_cases() -> None:
    spec = _spec(min=0.5, confidence=0.95)
    cases: dict[str, list[float | None]] = {f"{n:02}": [float(n < 20)] for n in range(40)}
    result = _task(spec, cases)
    assert result.outcome is Outcome.UNDECIDED
    assert result == _task(spec, dict(reversed(cases.items())))
    # In file order the twenty good cases alone would pass it.
    assert _case(spec, [float(n < 20) for n in range(40)]).outcome is Outcome.PASS


def test_a_sequential_task_gate_decides_on_the_draws_it_needed() -> None:
    ids = [f"{n:02}" for n in range(40)]
    drawn = {case for case, _ in islice(TaskDraws(ids).schedule(), 20)}
    cases: dict[str, list[float | None]] = {case: [1.0] if case in drawn else [] for case in ids}
    result = _task(_spec(min=0.8, confidence=0.95), cases, planned=40)
    assert result.sentence == "score 1.00 [0.77, 1.00] >= 0.80: pass after 20 of 40 samples (error <= 5%)"


def test_a_sequential_task_gate_of_which_no_draw_has_a_value() -> None:
    first = next(TaskDraws(["a", "b"]).schedule())[0]
    cases: dict[str, list[float | None]] = {"a": [1.0], "b": [1.0]}
    cases[first] = []
    result = _task(_spec(min=0.8, confidence=0.95), cases)
    assert (result.outcome, result.sentence) == (Outcome.FAIL, "score >= 0.80: fail, nothing was scored")


@given(st.lists(st.floats(0, 0.79), min_size=1, max_size=50), st.sampled_from([None, 0.95]))
def test_never_passes_below_the_bar(values: list[float], confidence: float | None) -> None:
    assert _case(_spec(min=0.8, confidence=confidence), values).outcome is not Outcome.PASS


@given(st.lists(UNIT | st.none(), max_size=50), st.sampled_from([None, 0.95]))
def test_never_passes_with_something_missing_among_what_was_drawn(
    values: list[float | None], confidence: float | None
) -> None:
    result = _case(_spec(min=0.3, confidence=confidence), values)
    assert not (result.outcome is Outcome.PASS and result.missing)
