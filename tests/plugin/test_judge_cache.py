"""``--kaizen-judge-cache``: a rerun over equal replies asks the judge nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic  # noqa: F401 - imported once, not by every run
import pytest

from pytest_kaizen.models import SpanKind

if TYPE_CHECKING:
    from pytest_kaizen.scripted import Request
    from tests.plugin.conftest import Suite

RUBRIC = """
name: summary
criteria:
  - {name: faithful, description: Says nothing that the input does not say.}
"""
TEST = """
    import pytest

    @pytest.mark.kaizen("sum")
    @pytest.mark.kaizen_rubric("rubric.yaml", min=0.8)
    def test_it(ask):
        ask("long text")
"""


def is_judge(request: Request) -> bool:
    return request.schema is not None


def verdict(reason: str = "fine", score: str = "yes") -> dict[str, Any]:
    return {"faithful": {"reason": reason, "score": score}}


@pytest.fixture
def judged(suite: Suite) -> Suite:
    suite.write(RUBRIC, "rubric.yaml")
    suite.write(TEST)
    suite.llm.reply(json=verdict(), when=is_judge)
    return suite


def judge_calls(suite: Suite) -> int:
    return sum(map(is_judge, suite.llm.requests))


def test_a_second_run_over_equal_replies_asks_nothing(judged: Suite) -> None:
    judged.run(passed=1, code=0)
    assert judge_calls(judged) == 1
    first = judged.trace
    judged.run(passed=1, code=0)
    assert judge_calls(judged) == 1
    assert judged.trace.scores == first.scores
    assert [span.kind for span in judged.trace.spans] == [SpanKind.LLM]
    (task,) = judged.stored_run.tasks
    assert (task.judge_calls, task.judge_cost_usd) == (0, None)
    assert "judged with" not in judged.text


@pytest.mark.parametrize("place", ["option", "ini", "environment"])
def test_off_asks_anew(judged: Suite, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    arguments = ["--kaizen-judge-cache", "off"] if place == "option" else []
    if place == "ini":
        judged.write("[pytest]\nkaizen_judge_cache = off\n", "pytest.ini")
    if place == "environment":
        monkeypatch.setenv("KAIZEN_JUDGE_CACHE", "off")
    judged.run(*arguments, passed=1)
    judged.run(*arguments, passed=1)
    assert judge_calls(judged) == 2


def test_off_leaves_what_is_kept(judged: Suite) -> None:
    judged.run(passed=1)
    judged.run("--kaizen-judge-cache=off", passed=1)
    judged.run(passed=1)
    assert judge_calls(judged) == 2


def test_another_value_is_refused_before_any_call(judged: Suite) -> None:
    judged.run("--kaizen-judge-cache=no", code=4)
    assert "--kaizen-judge-cache: expected one of on, off (found 'no')" in judged.errors
    assert judged.llm.requests == []


def test_errors_are_asked_again(judged: Suite) -> None:
    judged.llm.fail(500, message="overheated", when=is_judge, times=3)
    judged.run(failed=1)
    judged.run(passed=1)


def test_votes_are_calls_and_come_back_from_the_store(judged: Suite) -> None:
    judged.write(RUBRIC + "votes: 3", "rubric.yaml")
    judged.llm.reply(json=verdict("bad", "no"), when=is_judge, times=1)
    judged.run(failed=1)
    assert judge_calls(judged) == 3
    score = judged.trace.scores[0]
    assert score.votes == [0.0, 1.0, 1.0]
    assert score.value == pytest.approx(2 / 3)
    assert "summary.faithful 0.67 (3 votes, 0.00 to 1.00): fine" in judged.text
    judged.run(failed=1)
    assert judge_calls(judged) == 3
    assert judged.trace.scores[0] == score


def test_votes_of_the_project(judged: Suite) -> None:
    judged.write("judge: {votes: 2}", "kaizen.yaml")
    judged.run(passed=1)
    assert judge_calls(judged) == 2
    assert judged.trace.scores[0].votes == [1.0, 1.0]


def test_no_secret_is_kept_with_an_answer(judged: Suite) -> None:
    judged.llm.reply(json=verdict("it says secret-key-of-the-suite"), when=is_judge)
    judged.run(passed=1)
    content = b"".join(path.read_bytes() for path in judged.database.parent.glob("kaizen.db*"))
    assert b"secret-key-of-the-suite" not in content
    assert b"it says [redacted: request credential]" in content
