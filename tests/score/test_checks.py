from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pytest_kaizen.errors import ScoreError
from pytest_kaizen.score import CHECKS, Check, CheckResult


def check(name: str, argument: Any) -> Check:
    made: Any = CHECKS[name].model_validate(argument)
    return made  # type: ignore[no-any-return]


def run(name: str, argument: Any, output: Any, reference: Any = None) -> CheckResult:
    return check(name, argument).run(output, input=None, reference=reference)


@pytest.mark.parametrize(
    ("name", "argument", "output", "reference", "value", "reason"),
    [
        ("contains", "cat", "a cat sat", None, 1, "found 'cat'"),
        ("contains", "Cat", "a cat sat", None, 0, "'Cat' not found in 'a cat sat'"),
        ("contains", {"text": "Cat", "ignore_case": True}, "a cat sat", None, 1, "found 'Cat'"),
        ("contains", ["cat", "dog"], "a cat sat", None, 0, "'dog' not found in 'a cat sat'"),
        ("contains", ["cat", "sat"], "a cat sat", None, 1, "found 'cat', 'sat'"),
        ("contains", {"reference": True}, "a cat sat", "cat", 1, "found 'cat'"),
        ("contains", {"reference": True}, "a cat sat", ["cat", "dog"], 0, "'dog' not found in 'a cat sat'"),
        ("contains", "true", {"open": True}, None, 1, "found 'true'"),
        ("not_contains", "dog", "a cat sat", None, 1, "'dog' not found"),
        ("not_contains", ["dog", "cat"], "a cat sat", None, 0, "found 'cat' in 'a cat sat'"),
        ("not_contains", {"text": "CAT", "ignore_case": True}, "a cat", None, 0, "found 'CAT' in 'a cat'"),
        ("regex", r"\d+", "order 66", None, 1, r"'\\d+' matches '66'"),
        ("regex", r"^\d+$", "order 66", None, 0, r"'^\\d+$' does not match 'order 66'"),
        ("regex", {"pattern": "ORDER", "ignore_case": True}, "order", None, 1, "'ORDER' matches 'order'"),
        ("max_length", 3, "abc", None, 1, "3 characters, at most 3 allowed"),
        ("max_length", 3, "abcd", None, 0, "4 characters, at most 3 allowed"),
        ("max_length", {"limit": 9}, {"a": 1}, None, 1, "8 characters, at most 9 allowed"),
        ("equals", "yes", " yes\n", None, 1, "expected 'yes', found 'yes'"),
        ("equals", "yes", "Yes", None, 0, "expected 'yes', found 'Yes'"),
        ("equals", 42, "42", None, 1, "expected '42', found '42'"),
        ("equals", [1, 2], [1, 2], None, 1, "expected '[1, 2]', found '[1, 2]'"),
        ("equals", {"value": {"a": 1}}, {"a": 2}, None, 0, """expected '{"a": 1}', found '{"a": 2}'"""),
        ("equals", {"reference": True}, "b", "b", 1, "expected 'b', found 'b'"),
        ("equals", {"reference": True}, {"b": 1}, {"b": 1}, 1, """expected '{"b": 1}', found '{"b": 1}'"""),
        ("similarity", "abcd", "abcd", None, 1, "100% alike: expected 'abcd', found 'abcd'"),
        ("similarity", "abcd", "bcde", None, 0.75, "75% alike: expected 'abcd', found 'bcde'"),
        ("similarity", {"reference": True}, "xyz", "abc", 0, "0% alike: expected 'abc', found 'xyz'"),
        ("json_schema", {"type": "object"}, '{"a": 1}', None, 1, "follows the schema"),
        ("json_schema", {"type": "object"}, {"a": 1}, None, 1, "follows the schema"),
        ("json_schema", {"type": "object"}, "[1]", None, 0, "$: [1] is not of type 'object'"),
        (
            "json_schema",
            {"required": ["a", "b"], "type": "object"},
            "{}",
            None,
            0,
            "$: 'a' is a required property (and 1 more)",
        ),
        ("json_path", "$.a[0].b", '{"a": [{"b": 1}]}', None, 1, "$.a[0].b: found '[1]'"),
        ("json_path", "$.c", {"a": 1}, None, 0, """$.c finds nothing in '{"a": 1}'"""),
        ("json_path", {"path": "$.a", "equals": 1}, {"a": 1}, None, 1, "$.a: found '[1]'"),
        ("json_path", {"path": "$.a", "equals": 2}, {"a": 1}, None, 0, "$.a: expected '2', found '[1]'"),
        ("json_path", {"path": "$.a", "equals": None}, {"a": None}, None, 1, "$.a: found '[null]'"),
        ("json_path", "$.a", "7", None, 0, "$.a finds nothing in '7'"),
    ],
)
def test_what_a_check_finds(
    name: str, argument: Any, output: Any, reference: Any, value: float, reason: str
) -> None:
    assert run(name, argument, output, reference) == CheckResult(value, reason)


@pytest.mark.parametrize("name", ["json_schema", "json_path"])
def test_an_output_that_is_not_json_scores_0_and_says_so(name: str) -> None:
    value, reason = run(name, {"type": "object"} if name == "json_schema" else "$.a", "Sure: {")
    assert value == 0
    assert reason.startswith("not JSON (Expecting value")
    assert reason.endswith(": 'Sure: {'")


@pytest.mark.parametrize("name", ["contains", "not_contains", "equals", "similarity"])
def test_a_check_against_a_reference_that_is_not_there_is_no_score(name: str) -> None:
    with pytest.raises(ScoreError, match=r"no reference to compare with; give kaizen\.case\(reference="):
        run(name, {"reference": True}, "text")


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("contains", ["a", "b"], "contains 'a', 'b'"),
        ("contains", {"reference": True, "ignore_case": True}, "contains the reference (in any case)"),
        ("not_contains", "a", "does not contain 'a'"),
        ("regex", {"pattern": "a", "ignore_case": True}, "matches 'a' (in any case)"),
        ("max_length", 9, "at most 9 characters"),
        ("equals", 7, "equals '7'"),
        ("equals", {"reference": True}, "equals the reference"),
        ("similarity", "a", "is like 'a'"),
        ("similarity", {"reference": True}, "is like the reference"),
        ("json_schema", {"type": "object"}, """follows the JSON schema '{"type": "object"}'"""),
        ("json_path", "$.a", "$.a is present"),
        ("json_path", {"path": "$.a", "equals": 2}, "$.a is '2'"),
    ],
)
def test_what_a_check_expects(name: str, argument: Any, expected: str) -> None:
    assert check(name, argument).expected == expected


@pytest.mark.parametrize(
    ("name", "argument", "message"),
    [
        ("contains", [], "give either text"),
        ("contains", [""], "at least 1 character"),
        ("contains", 5, "expected a string or a list of strings"),
        ("contains", {"text": "a", "reference": True}, "give either text"),
        ("regex", "(", "not a valid regular expression"),
        ("regex", "", "at least 1 character"),
        ("max_length", 0, "greater than 0"),
        ("max_length", "9", "valid integer"),
        ("max_length", True, "valid integer"),
        ("equals", None, "give either value or reference: true"),
        ("equals", {"value": 1, "reference": True}, "give either value or reference: true"),
        ("similarity", {}, "give either text or reference: true"),
        ("json_schema", "object", "expected a JSON schema"),
        ("json_schema", {"type": "objekt"}, "not a valid JSON schema: 'objekt' is not valid"),
        ("json_path", "$.a[", "not a valid JSONPath: unexpected end of query"),
    ],
)
def test_an_argument_that_makes_no_sense(name: str, argument: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        check(name, argument)


@pytest.mark.parametrize(
    ("name", "argument", "library", "package"),
    [
        ("json_schema", {"type": "object"}, "jsonschema", "jsonschema"),
        ("json_path", "$.a", "jsonpath", "python-jsonpath"),
    ],
)
def test_a_library_that_is_missing_is_said_when_the_rubric_is_read(
    monkeypatch: pytest.MonkeyPatch, name: str, argument: Any, library: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ValidationError, match=rf"needs {package}, .* pip install 'pytest-kaizen\[checks\]'"):
        check(name, argument)


def test_a_schema_is_never_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", opened.append)
    made = check("json_schema", {"$ref": "http://127.0.0.1:1/schema.json"})
    with pytest.raises(Exception, match="Unresolvable"):
        made.run({}, input=None, reference=None)
    assert opened == []


def test_similarity_of_long_texts_counts_frequent_characters() -> None:
    assert run("similarity", "ab" * 200, "c" + "ab" * 200).value == pytest.approx(800 / 801)


@given(st.text(min_size=1, max_size=30), st.text(max_size=10), st.text(max_size=10))
def test_contains_and_not_contains_are_opposites(needle: str, before: str, after: str) -> None:
    assert run("contains", needle, before + needle + after).value == 1
    assert run("not_contains", needle, before + needle + after).value == 0
    text = before + after
    assert run("contains", needle, text).value + run("not_contains", needle, text).value == 1


@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_similarity_is_in_bounds_and_1_for_equal_texts_only(one: str, other: str) -> None:
    value = run("similarity", one, other).value
    assert 0 <= value <= 1
    assert (value == 1) == (one == other)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"b": 1, "a": "ä"}, '{"b": 1, "a": "ä"}'),
        ([Path("x")], '["x"]'),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (True, "true"),
        (1.5, "1.5"),
    ],
)
def test_an_output_that_is_not_text_is_read_as_json(output: Any, text: str) -> None:
    assert run("regex", r"(?s)\A.*\Z", output).reason.endswith(f"matches {text!r}")


def test_a_reason_is_one_short_line() -> None:
    reason = run("contains", "needle", "hay\n" * 1000).reason
    assert "\n" not in reason
    assert len(reason) < 130


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A user's module with functions to check by."""
    made = ModuleType("my_checks")
    monkeypatch.setitem(sys.modules, "my_checks", made)
    return made


@pytest.mark.parametrize(
    ("answer", "value", "reason"),
    [
        (True, 1.0, "my_checks:f returned True"),
        (False, 0.0, "my_checks:f returned False"),
        (0.25, 0.25, "my_checks:f returned 0.25"),
        (1, 1.0, "my_checks:f returned 1"),
        ((0.5, "half of it"), 0.5, "half of it"),
        ((True, None), 1.0, "my_checks:f returned True"),
    ],
)
def test_a_function_of_the_users(module: ModuleType, answer: Any, value: float, reason: str) -> None:
    seen: list[Any] = []

    def f(output: Any, given: Any, reference: Any) -> Any:
        """Says what it is told to.

        And more that is not shown.
        """
        seen.append((output, given, reference))
        return answer

    vars(module)["f"] = f
    made = check("python", "my_checks:f")
    assert made.expected == "Says what it is told to."
    assert made.run("o", input="i", reference="r") == CheckResult(value, reason)
    assert seen == [("o", "i", "r")]


@pytest.mark.parametrize("answer", [2, -0.1, float("nan"), "yes", None, (1, "a", "b"), (None, "why")])
def test_a_function_that_returns_no_score_is_an_error(module: ModuleType, answer: Any) -> None:
    vars(module)["f"] = lambda _output, _input, _reference: answer
    with pytest.raises(ScoreError, match=r"my_checks:f returned .*; expected a bool, a number in \[0, 1\]"):
        run("python", "my_checks:f", "o")


def test_a_function_that_raises_is_an_error_not_a_0(module: ModuleType) -> None:
    def f(output: Any, given: Any, reference: Any) -> bool:
        raise LookupError(f"no {output}{given or reference or ''}")

    vars(module)["f"] = f
    with pytest.raises(ScoreError, match="my_checks:f raised LookupError: no o"):
        run("python", "my_checks:f", "o")


async def _later(output: Any, given: Any, reference: Any) -> bool:
    return bool(output or given or reference)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("my_checks", "expected module:function"),
        ("my_checks:", "expected module:function"),
        ("a:b:c", "expected module:function"),
        (7, "expected module:function"),
        ("no_such_module:f", "cannot import 'no_such_module': No module named .*ini key pythonpath"),
        ("my_checks:g", "module 'my_checks' has no function 'g'"),
        ("my_checks:word", "my_checks:word is not callable"),
        ("my_checks:short", r"my_checks:short is not a function of \(output, input, reference\)"),
        ("my_checks:later", "my_checks:later is async"),
    ],
)
def test_a_function_that_cannot_be_had(module: ModuleType, target: Any, message: str) -> None:
    vars(module).update(word="text", short=lambda output: output, later=_later)
    with pytest.raises(ValidationError, match=message):
        check("python", target)


def test_a_module_that_breaks_on_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_checks.py").write_text("1 / 0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValidationError, match="importing 'broken_checks' raised ZeroDivisionError"):
        check("python", "broken_checks:f")


def test_the_registry_is_sorted_and_whole() -> None:
    assert list(CHECKS) == sorted(CHECKS)
    assert len(CHECKS) == 9
