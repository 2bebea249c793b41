from __future__ import annotations

import pytest

from pytest_kaizen.gate import VersionRequirement, parse_requirement, prompt_gate
from pytest_kaizen.models import GateResult, Outcome, Scope

SHA = {1: "a1" * 32, 2: "b2" * 32, 3: "c3" * 32}


def _gate(text: str, used: list[int], *, active: int | None = 2, shas: dict[int, str] = SHA) -> GateResult:
    return prompt_gate(
        parse_requirement(text),
        task="sum",
        case_id="test_x.py::test",
        used=[(version, shas[version]) for version in used],
        active=active,
        locked={1: SHA[1], 2: SHA[2]},
        origin="test_x.py::test @kaizen_prompt",
    )


@pytest.mark.parametrize(
    ("text", "used", "sentence"),
    [
        ("==3", [3], "prompt sum v3 ==3: pass"),
        ("==3", [2], "prompt sum v2 ==3: fail"),
        (">=2,<4", [3, 2, 3], "prompt sum v2, v3 >=2,<4: pass"),
        (">=2,<4", [1, 3], "prompt sum v1, v3 >=2,<4: fail"),
        (" >= 2 , <= 2", [2], "prompt sum v2 >= 2 , <= 2: pass"),
        ("!=2", [2], "prompt sum v2 !=2: fail"),
        (">1", [1], "prompt sum v1 >1: fail"),
        ("active", [2], "prompt sum v2 active: pass"),
        ("active", [1], "prompt sum v1 active: fail, v2 is active"),
        ("locked", [1], "prompt sum v1 locked: pass"),
        ("locked", [3], "prompt sum v3 locked: fail, kaizen.lock does not have it"),
        ("sha256:B2B2b2b2", [2], "prompt sum v2 sha256:B2B2b2b2: pass"),
        ("sha256:b2b2b2b2", [1], "prompt sum v1 sha256:b2b2b2b2: fail, its text is a1a1a1a1"),
        ("==1", [], 'prompt sum ==1: fail, the test never fetched it (kaizen.prompt("sum"))'),
    ],
)
def test_sentences(text: str, used: list[int], sentence: str) -> None:
    result = _gate(text, used)
    assert result.sentence == sentence
    assert result.outcome is (Outcome.PASS if ": pass" in sentence else Outcome.FAIL)


def test_a_text_that_is_not_the_locked_one() -> None:
    result = _gate("locked", [1], shas={1: SHA[3]})
    assert result.sentence == "prompt sum v1 locked: fail, its text is c3c3c3c3, kaizen.lock has a1a1a1a1"


def test_nothing_active() -> None:
    assert _gate("active", [1], active=None).sentence == "prompt sum v1 active: fail, no version is active"


def test_one_number_with_two_texts_is_shown_once_and_judged_twice() -> None:
    result = prompt_gate(
        parse_requirement("sha256:a1a1a1a1"),
        task="sum",
        case_id="c",
        used=[(1, SHA[1]), (1, SHA[2])],
        active=1,
        locked={},
        origin="",
    )
    assert result.sentence == "prompt sum v1 sha256:a1a1a1a1: fail, its text is b2b2b2b2"


def test_the_fields_of_a_result() -> None:
    result = _gate(">=2", [2, 2])
    assert (result.scope, result.task, result.case_id) == (Scope.CASE, "sum", "test_x.py::test")
    assert (result.name, result.bar, result.figure, result.samples) == ("prompt sum", ">=2", 2.0, 2)
    assert result.origin == "test_x.py::test @kaizen_prompt"
    assert _gate(">=2", [2, 3]).figure is None


@pytest.mark.parametrize(
    "text",
    ["", "3", "v3", "=3", "==0", "==3,", ">=2;<4", "latest", "sha256:abc", "sha256:" + "g" * 8, "==1.5"],
)
def test_anything_else_is_refused_with_what_is_valid(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version requirement; valid: ==3, ") as caught:
        parse_requirement(text)
    assert str(caught.value) == (
        f"'{text}' is not a version requirement; valid: ==3, !=2, >=2,<4, active, locked, "
        "sha256:<at least 8 hex digits>"
    )


def test_a_requirement_is_a_value() -> None:
    assert parse_requirement(" active ") == VersionRequirement("active", word="active")
    assert parse_requirement(">=2,<4").clauses == ((">=", 2), ("<", 4))
