"""Checks that strangers wrote: the same answers, and an end in time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pytest_kaizen.errors import ScoreError
from pytest_kaizen.score import guarded as module
from pytest_kaizen.score.checks import Contains, JsonPath, JsonSchema, Regex
from pytest_kaizen.score.guarded import Guarded, guarded

#: It tries every way to cut the text into runs, of which there are 2**40.
ENDLESS, LONG = "(a+)+$", "a" * 40 + "!"


def run(check: Any, output: Any, limit_s: float = 60.0) -> tuple[float, str]:
    return Guarded(check, limit_s).run(output, input=None, reference=None)


@pytest.mark.parametrize(
    ("check", "output"),
    [
        (Regex(pattern="b+"), "abba"),
        (Regex(pattern="B+", ignore_case=True), "xyz ü"),
        (JsonSchema.model_validate({"type": "object", "required": ["a"]}), '{"b": 1}'),
        (JsonPath(path="$.a", equals=1), {"a": 1}),
    ],
)
def test_it_finds_what_the_check_finds(check: Any, output: Any) -> None:
    watched = guarded(check)
    assert isinstance(watched, Guarded)
    assert watched.expected == check.expected
    assert run(check, output) == check.run(output, input=None, reference=None)


def test_what_cannot_take_long_is_run_here() -> None:
    check = Contains.model_validate("a")
    assert guarded(check) is check


@pytest.mark.parametrize(
    ("check", "output"),
    [
        (Regex(pattern=ENDLESS), LONG),
        (JsonSchema.model_validate({"type": "string", "pattern": ENDLESS}), f'"{LONG}"'),
        (JsonPath(path=f"$[?search(@.a, '{ENDLESS}')]"), [{"a": LONG}]),
    ],
)
def test_what_never_ends_is_ended_and_others_go_on(check: Any, output: Any) -> None:
    with pytest.raises(ScoreError, match=r"^the check took longer than 0\.3 s and was ended$"):
        run(check, output, limit_s=0.3)
    assert run(Regex(pattern="a"), LONG)[0] == 1.0


def test_a_check_that_cannot_be_carried_out_says_why() -> None:
    schema = JsonSchema.model_validate({"$ref": "https://example.invalid/x"})
    with pytest.raises(ScoreError, match=r"^the check broke: .*Unresolvable"):
        run(schema, "{}")


def test_a_helper_that_dies_is_started_anew() -> None:
    assert run(Regex(pattern="a"), "a")[0] == 1.0
    process = module._HELPER._process
    assert process is not None
    process.kill()
    process.wait()
    assert run(Regex(pattern="a"), "b")[0] == 0.0


def test_many_threads_each_get_their_own_answer() -> None:
    together = threading.Barrier(8)

    def ask(number: int) -> float:
        together.wait()
        return run(Regex(pattern=f"^{number}$"), str(number - number % 2))[0]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [1.0, 0.0] * 4
