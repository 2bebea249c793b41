"""``evaluator_config`` → a rubric."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.errors import RubricError
from pytest_kaizen.pipeline.feedback import check_evaluator, scoring_rubric
from pytest_kaizen.score import guarded, score_rubric

if TYPE_CHECKING:
    from .conftest import Make

RUBRIC = "name: house\ncriteria:\n  - {name: short, check: {max_length: 5}}\n"


@pytest.mark.parametrize("evaluator", [None, {"type": "judge"}])
def test_the_rubric_of_the_project_is_the_task_s_own(make: Make, evaluator: dict[str, Any] | None) -> None:
    (make.root / "house.yaml").write_text(RUBRIC)
    config = make.config("tasks: {triage: {rubric: house.yaml}}")
    assert scoring_rubric(make.task(evaluator_config=evaluator), config).name == "house"
    other = scoring_rubric(make.task("sort_mail", evaluator_config=evaluator), config)
    assert [(c.name, c.description) for c in other.criteria] == [
        ("fulfilled", "The output does, fully and correctly, what the task asks for: sort mail")
    ]


def test_a_configuration_s_own_criteria(make: Make) -> None:
    (make.root / "house.yaml").write_text(RUBRIC)
    config = make.config("tasks: {triage: {rubric: house.yaml}}")
    criteria = ["Names the product!", {"name": "short", "check": {"max_length": 9}, "weight": None}]
    rubric = scoring_rubric(make.task(evaluator_config={"type": "judge", "criteria": criteria}), config)
    assert [(c.name, c.weight) for c in rubric.criteria] == [("c1_Names_the_product", 0.5), ("short", 0.5)]
    other = make.task(evaluator_config={"type": "judge", "criteria": ["Names the customer."]})
    assert scoring_rubric(other, config).sha256 != rubric.sha256


def test_a_composite_weighs_its_parts(make: Make) -> None:
    parts = [
        {"type": "exact_match", "weight": 3},
        {"type": "judge", "criteria": [{"name": "short", "check": {"max_length": 2}}]},
    ]
    task = make.task(evaluator_config={"type": "composite", "evaluators": parts})
    rubric = scoring_rubric(task, make.config())
    scores = score_rubric(rubric, input=None, output="four", reference="four", judge=None)
    assert [(score.name, score.value) for score in scores] == [
        ("composite.exact_match", 1.0),
        ("composite.short", 0.0),
        ("composite", 0.75),
    ]


def test_a_function_only_where_the_project_names_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make.task(evaluator_config={"type": "custom_fn", "function": "os:remove"})
    with pytest.raises(RubricError, match=r"'custom_fn' names no function here: write tasks\.triage\."):
        scoring_rubric(task, make.config())
    (make.root / "house_scores.py").write_text(
        "def even(output, input, reference):\n    return len(output) % 2 == 0\n"
    )
    monkeypatch.syspath_prepend(make.root)
    rubric = scoring_rubric(task, make.config("tasks: {triage: {custom_fn: 'house_scores:even'}}"))
    values = [
        score_rubric(rubric, input=None, output=text, reference=None, judge=None)[-1].value
        for text in ("ab", "abc")
    ]
    assert values == [1.0, 0.0]
    del sys.modules["house_scores"]


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"type": "magic"}, "does not match any of the expected tags: 'judge', 'exact_match', 'custom_fn'"),
        ({}, "Unable to extract tag using discriminator 'type'"),
        (
            {"type": "custom_fn", "function": "os:remove"},
            "custom_fn.function: Python code is named in kaizen",
        ),
        ({"type": "judge", "criteria": []}, "judge.criteria: List should have at least 1 item"),
        ({"type": "composite", "evaluators": []}, "composite.evaluators: List should have at least 1"),
        ({"type": "judge", "criteria": [{"name": "a"}]}, "'a' needs a description for the judge, or a check"),
        ({"type": "judge", "weight": 0}, "judge.weight: Input should be greater than 0"),
        (
            {"type": "judge", "criteria": [{"name": "a", "check": {"python": "no_such_module:f"}}]},
            "criteria.0.check: Python code is named in kaizen.yaml only: use the evaluator custom_fn",
        ),
        (
            {
                "type": "composite",
                "evaluators": [
                    {"type": "judge", "criteria": ["x", {"name": "a", "check": {"python": "m:f"}}]}
                ],
            },
            "criteria.1.check: Python code is named in kaizen.yaml only",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(config: dict[str, Any], why: str) -> None:
    with pytest.raises(RubricError) as caught:
        check_evaluator(config)
    assert why in str(caught.value)
    assert str(caught.value).startswith("evaluator_config:")


def test_a_regular_expression_of_a_strangers_cannot_take_forever(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any depth of the configuration; that of the project's own file is trusted."""
    judge = {"type": "judge", "criteria": [{"name": "ends", "check": {"regex": "(a+)+$"}}]}
    for config in (judge, {"type": "composite", "evaluators": [judge]}):
        task = make.task(evaluator_config=config)
        found = []
        for limit_s, output in ((0.3, "a" * 40 + "!"), (60.0, "aaa")):
            monkeypatch.setattr(guarded, "LIMIT_S", limit_s)
            rubric = scoring_rubric(task, make.config())
            found.append(score_rubric(rubric, input=None, output=output, reference=None, judge=None)[0])
        assert found[0].error == "the check took longer than 0.3 s and was ended"
        assert found[1].value == 1.0


def test_two_parts_with_one_name(make: Make) -> None:
    parts = [{"type": "exact_match"}, {"type": "exact_match"}]
    task = make.task(evaluator_config={"type": "composite", "evaluators": parts})
    with pytest.raises(RubricError, match="two evaluators have a criterion 'exact_match'"):
        scoring_rubric(task, make.config())
