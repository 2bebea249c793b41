from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.errors import RubricError
from pytest_kaizen.score import IntegerScale, Rubric, YesNo, load_rubric

WHOLE = """\
name: summary
description: A summary of a support ticket.
criteria:
  - name: faithful
    description: States only what
      the ticket says.
    weight: 0.5
  - name: tone
    description: Is friendly.
    weight: 0.3
    scale: [1, 5]
  - name: short
    weight: 0.2
    check: {max_length: 300}
"""


def test_a_whole_rubric(rubric: Callable[[str], Rubric], tmp_path: Path) -> None:
    loaded = rubric(WHOLE)
    assert loaded.name == "summary"
    assert loaded.description == "A summary of a support ticket."
    assert loaded.path == tmp_path / "rubric.yaml"
    faithful, tone, short = loaded.criteria
    assert (faithful.name, faithful.description) == ("faithful", "States only what the ticket says.")
    assert [criterion.weight for criterion in loaded.criteria] == pytest.approx([0.5, 0.3, 0.2])
    assert [criterion.scale for criterion in loaded.criteria] == [YesNo(), IntegerScale(1, 5), YesNo()]
    assert loaded.judged == (faithful, tone)
    assert [c.expected for c in (tone, short)] == ["Is friendly.", "at most 300 characters"]


def test_critical_criteria_are_named_as_their_scores(rubric: Callable[[str], Rubric]) -> None:
    plain = rubric(WHOLE)
    loaded = rubric(WHOLE.replace("weight: 0.3", "weight: 0.3\n    critical: true"))
    assert (plain.critical, loaded.critical) == ((), ("summary.tone",))
    # It says nothing about what is judged.
    assert loaded.sha256 == plain.sha256
    with pytest.raises(RubricError, match=r"rubric.yaml:11: criteria.1.critical: .*\(found 'maybe'\)"):
        rubric(WHOLE.replace("weight: 0.3", "weight: 0.3\n    critical: maybe"))


def test_without_weights_all_criteria_count_alike(rubric: Callable[[str], Rubric]) -> None:
    loaded = rubric(
        "name: r\ncriteria:\n" + "".join(f"  - {{name: c{i}, description: d}}\n" for i in range(3))
    )
    assert [criterion.weight for criterion in loaded.criteria] == [1 / 3] * 3


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=12))
def test_weights_keep_their_proportions_and_sum_to_one(
    tmp_path_factory: pytest.TempPathFactory, parts: list[int]
) -> None:
    weights = [part / sum(parts) for part in parts]
    criteria = [{"name": f"c{i}", "description": "d", "weight": weight} for i, weight in enumerate(weights)]
    path = tmp_path_factory.mktemp("weights") / "r.yaml"
    path.write_text(yaml.safe_dump({"name": "r", "criteria": criteria}), encoding="utf-8")
    loaded = [criterion.weight for criterion in load_rubric(path).criteria]
    assert math.fsum(loaded) == pytest.approx(1, abs=1e-12)
    assert loaded == pytest.approx(weights)


@pytest.mark.parametrize(
    ("weights", "fits"), [((0.333,) * 3, True), ((0.5, 0.4), False), ((0.6, 0.6), False)]
)
def test_how_far_weights_may_be_off(
    rubric: Callable[[str], Rubric], weights: tuple[float, ...], fits: bool
) -> None:
    text = "name: r\ncriteria:\n" + "".join(
        f"  - {{name: c{i}, description: d, weight: {weight}}}\n" for i, weight in enumerate(weights)
    )
    if fits:
        assert sum(criterion.weight for criterion in rubric(text).criteria) == pytest.approx(1, abs=1e-12)
    else:
        with pytest.raises(
            RubricError, match=rf":2: the weights sum to {sum(weights):g}; they must sum to 1$"
        ):
            rubric(text)


def hashed(rubric: Callable[[str], Rubric], text: str) -> str:
    return rubric(text).sha256


def test_the_hash_is_of_the_content_not_of_the_layout(rubric: Callable[[str], Rubric]) -> None:
    original = hashed(rubric, WHOLE)
    assert len(original) == 64
    document = yaml.safe_load(WHOLE)
    assert hashed(rubric, "# a comment\n" + yaml.safe_dump(document, sort_keys=True)) == original
    document["criteria"][0]["scale"] = "yes_no"
    assert hashed(rubric, yaml.safe_dump(document)) == original


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: summary", "name: other"),
        ("A summary of", "An abstract of"),
        ("only what", "all that"),
        ("scale: [1, 5]", "scale: [1, 6]"),
        ("max_length: 300", "max_length: 301"),
        ("weight: 0.5", "weight: 0.5005"),
    ],
)
def test_the_hash_changes_with_what_the_rubric_says(
    rubric: Callable[[str], Rubric], old: str, new: str
) -> None:
    assert hashed(rubric, WHOLE.replace(old, new)) != hashed(rubric, WHOLE)


VALID_CHECKS = "contains, equals, json_path, json_schema, max_length, not_contains, python, regex, similarity"
SCALES = "expected yes_no or [low, high], two integers with low < high at most 100 apart"
C0 = "criteria.0"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["check: {contians: x}"],
            f"4: unknown key '{C0}.check.contians' (did you mean 'contains'?); valid: {VALID_CHECKS}",
        ),
        (
            ["check: {contains: x, regex: y}"],
            f"4: {C0}.check: give exactly one of {VALID_CHECKS} (found contains, regex)",
        ),
        (["check: {}"], f"4: {C0}.check: give exactly one of {VALID_CHECKS} (found none)"),
        (
            ["check: short"],
            f"4: {C0}.check: expected a check with its argument, such as max_length: 300 (found 'short')",
        ),
        (
            ["weight: 0.5", "check:", "  contains:", "    text: a", "    ignore_caze: true"],
            f"8: unknown key '{C0}.check.contains.ignore_caze' (did you mean 'ignore_case'?); "
            "valid: ignore_case, reference, text",
        ),
        (
            ["check: {regex: '('}"],
            f"4: {C0}.check.regex.pattern: not a valid regular expression: "
            "missing ), unterminated subpattern at position 0 (found '(')",
        ),
        (
            ["wieght: 1", "description: d"],
            f"4: unknown key '{C0}.wieght' (did you mean 'weight'?); "
            "valid: check, critical, description, name, scale, weight",
        ),
        (["weight: 0", "description: d"], f"4: {C0}.weight: input should be greater than 0 (found 0)"),
        (["description: d", "scale: [5, 1]"], f"5: {C0}.scale: {SCALES} (found [5, 1])"),
        (["description: d", "scale: stars"], f"5: {C0}.scale: {SCALES} (found 'stars')"),
        (["weight: 1"], f"3: {C0}: 'a' needs a description for the judge, or a check"),
        (
            ["scale: [1, 5]", "check: {max_length: 3}"],
            f"3: {C0}: 'a' has a check, which has no scale; remove one of the two",
        ),
        (["description: d", "description: e"], "5: 'description' stands twice (first on line 4); keep one"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    rubric: Callable[[str], Rubric], tmp_path: Path, lines: list[str], message: str
) -> None:
    text = "name: r\ncriteria:\n  - name: a\n" + "".join(f"    {line}\n" for line in lines)
    with pytest.raises(RubricError) as caught:
        rubric(text)
    assert str(caught.value) == f"{tmp_path / 'rubric.yaml'}:{message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: r\ncriteria:\n  - {name: a, description: d}\n  - {name: b, description: d}\n"
            "  - {name: a, description: e}\n",
            "5: two criteria are named 'a' (the first on line 3); rename one",
        ),
        (
            "name: r\ncriteria:\n  - {name: a, description: d, weight: 1}\n  - {name: b, description: d}\n",
            "4: 'b' has no weight, others have; give all criteria one or none",
        ),
        ("name: r\ncriteria: []\n", "2: criteria: list should have at least 1 item"),
        ("name: r\n", "1: 'criteria' is missing"),
        ("criteria:\n  - {name: a, description: d}\n", "1: 'name' is missing"),
        (
            "name: my rubric\ncriteria:\n  - {name: a, description: d}\n",
            "1: name: expected a name of letters, digits, _ and -, at most 64 long, no digit first "
            "(found 'my rubric')",
        ),
        ("- a\n", "1: expected keys and values, found list"),
        ("name: [\n", "2: not valid YAML"),
    ],
)
def test_a_mistake_in_the_whole(
    rubric: Callable[[str], Rubric], tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(RubricError) as caught:
        rubric(text)
    assert str(caught.value).startswith(f"{tmp_path / 'rubric.yaml'}:{message}")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RubricError) as caught:
        load_rubric(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path / 'none.yaml'}: no such file"


KEYS = ["name", "check", "weight", "scale", "contains", "x"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["name", "criteria", "description"]), anything))
def test_whatever_stands_in_the_file_it_is_a_rubric_or_a_rubric_error(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    try:
        loaded = load_rubric(path)
    except RubricError as exc:
        assert exc.path == path  # noqa: PT017 - either way out is right
    else:
        assert loaded.criteria
