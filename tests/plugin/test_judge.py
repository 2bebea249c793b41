"""The judge, end to end: the SDK's structured request, answered by a scripted model."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import anthropic  # noqa: F401 - imported once, not by every run
import pytest

from pytest_kaizen.models import Outcome, SpanKind, Usage

if TYPE_CHECKING:
    from pytest_kaizen.scripted import Request
    from tests.plugin.conftest import Suite

RUBRIC = """
name: summary
criteria:
  - name: faithful
    weight: 0.75
    description: Says nothing that the input does not say.
  - name: short
    weight: 0.25
    check: {max_length: 300}
"""
TEST = """
    import pytest

    @pytest.mark.kaizen("sum")
    @pytest.mark.kaizen_rubric("rubric.yaml", min=0.8, each={"faithful": 0.9})
    def test_it(ask):
        ask("long text")
"""


def is_judge(request: Request) -> bool:
    return request.schema is not None


def verdict(score: bool, reason: str) -> dict[str, Any]:
    return {"faithful": {"reason": reason, "score": "yes" if score else "no"}}


@pytest.fixture
def judged(suite: Suite) -> Suite:
    suite.write(RUBRIC, "rubric.yaml")
    suite.write(TEST)
    return suite


def test_the_output_is_judged_once_and_apart_from_the_case(judged: Suite) -> None:
    judged.llm.reply(
        json=verdict(True, "It quotes."), when=is_judge, usage=Usage(input_tokens=900, output_tokens=90)
    )
    judged.run(passed=1, code=0)
    call, request = judged.llm.requests
    assert call.last_user_text == "long text"
    assert "an answer" in request.last_user_text
    assert "Says nothing that the input does not say." in request.last_user_text
    scores = {score.name: (score.value, score.reason, score.source) for score in judged.trace.scores}
    assert scores["summary.faithful"] == (1.0, "It quotes.", "judge")
    assert scores["summary"][0] == 1.0
    assert [span.kind for span in judged.trace.spans] == [SpanKind.LLM, SpanKind.JUDGE]
    metrics = judged.sample.metrics
    assert (metrics["calls"], metrics["input_tokens"], metrics["output_tokens"]) == (1, 3, 3)
    row = judged.table["sum"]
    assert (row["calls"], row["tokens"], row["cost"]) == ("1", "3/3", "$0.0000")
    judged.result.stdout.fnmatch_lines(["sum: judged with 1 call, $0.0014"])


def test_a_low_verdict_fails_with_the_judges_reason(judged: Suite) -> None:
    judged.llm.reply(json=verdict(False, "It invents a\ndate. \x1b[31m"), when=is_judge)
    judged.run(failed=1, code=1)
    assert judged.failure == [
        "summary 0.25 [0.01, 0.88] >= 0.80: fail over 1 sample",
        "summary.faithful 0.00 [0.00, 0.79] >= 0.90: fail over 1 sample",
        "lowest criterion: summary.faithful 0.00: It invents a date. \\x1b[31m",
        "(task sum)",
    ]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("fail", "HTTP 500 api_error: overheated"),
        ("This is fine!", "gave no readable answer in 3 attempts: not a JSON object"),
        (json.dumps({"faithful": {"reason": "r", "score": 7}}), "gave no readable answer in 3 attempts"),
        (json.dumps({"other": {"reason": "r", "score": "yes"}}), "no reason and score for 'faithful'"),
    ],
)
def test_a_judge_that_fails_is_an_error_and_neither_zero_nor_a_pass(
    judged: Suite, answer: str, error: str
) -> None:
    if answer == "fail":
        judged.llm.fail(500, message="overheated", when=is_judge, times=None)
    else:
        judged.llm.reply(answer, when=is_judge)
    judged.run(failed=1, code=1)
    scores = {score.name: score for score in judged.trace.scores}
    assert scores["summary.short"].value == 1.0
    for name in ("summary.faithful", "summary"):
        assert scores[name].value is None
        assert error in (scores[name].error or "")
    assert all(
        line.startswith("summary") and ": fail, nothing was scored" in line for line in judged.failure[:2]
    )
    assert "score" not in judged.sample.metrics
    assert judged.table["sum"]["score"] == ""


def test_one_judge_error_among_cases_leaves_the_task_undecided(judged: Suite) -> None:
    judged.write(
        "undecided: pass\ntasks: {sum: {rubric: rubric.yaml, gate: [{metric: summary, min: 0.8}]}}",
        "kaizen.yaml",
    )
    judged.write("""
        import pytest

        @pytest.mark.kaizen("sum")
        @pytest.mark.parametrize("text", ["one", "two"])
        def test_it(ask, text):
            ask(text)
    """)
    judged.llm.reply("garbage", when=lambda request: is_judge(request) and "two" in request.last_user_text)
    judged.llm.reply(json=verdict(True, "fine"), when=is_judge)
    judged.run(passed=2, code=0)
    (gate,) = judged.stored_run.tasks[0].gates
    assert (gate.outcome, gate.samples, gate.missing) == (Outcome.UNDECIDED, 1, 1)
    assert "1 missing (summary: " in gate.sentence
    judged.write("tasks: {sum: {rubric: rubric.yaml, gate: [{metric: summary, min: 0.8}]}}", "kaizen.yaml")
    judged.run(passed=2, code=1)
    assert judged.last_line.startswith("kaizen: FAILED on a whole task: sum: summary 1.00 ")


def test_no_output_is_not_sent_to_the_judge(judged: Suite) -> None:
    judged.write("""
        import pytest

        @pytest.mark.kaizen_rubric("rubric.yaml")
        def test_it(kaizen):
            pass
    """)
    judged.run(failed=1, code=1)
    assert judged.llm.requests == []


def test_judge_now_gives_a_verdict_per_criterion_and_is_not_repeated(judged: Suite) -> None:
    judged.llm.reply(json=verdict(True, "fine"), when=is_judge)
    judged.write("""
        import pytest

        @pytest.mark.kaizen_rubric("rubric.yaml")
        def test_it(kaizen):
            verdict = kaizen.judge("some text", rubric="rubric.yaml", input="in", reference="gold")
            assert verdict.score == 1.0
            assert verdict.passed(0.9)
            assert verdict.criteria["faithful"].reason == "fine"
            kaizen.case(output="some text")
    """)
    judged.run(passed=1, code=0)
    (request,) = judged.llm.requests
    assert "gold" in request.last_user_text
    assert [span.kind for span in judged.trace.spans] == [SpanKind.JUDGE]
    assert judged.sample.missing["calls"] == "no LLM call was captured"


def test_judge_with_a_rubric_that_is_not_there_fails_the_test(judged: Suite) -> None:
    judged.write("def test_it(kaizen):\n    kaizen.judge('x', rubric='nowhere.yaml')")
    judged.run(failed=1, code=1)
    assert "nowhere.yaml: no such file" in judged.text


def test_ajudge_leaves_the_event_loop_free(judged: Suite) -> None:
    def once_the_loop_went_on(_: Request) -> str:
        end = time.monotonic() + 60
        while not (judged.root / "went on").exists() and time.monotonic() < end:
            time.sleep(0.01)
        return json.dumps(verdict(True, "fine"))

    judged.llm.reply(once_the_loop_went_on, when=is_judge)
    judged.write("""
        import asyncio
        from pathlib import Path

        def test_it(kaizen):
            async def main():
                ticks = 0
                task = asyncio.ensure_future(kaizen.ajudge("text", rubric="rubric.yaml"))
                while not task.done():
                    ticks += 1
                    await asyncio.sleep(0.01)
                    if ticks > 3:
                        Path("went on").touch()
                assert (await task).score == 1.0
                assert ticks > 3

            asyncio.run(main())
    """)
    judged.run(passed=1, code=0)
    assert [score.name for score in judged.trace.scores] == ["summary.faithful", "summary.short", "summary"]
    assert [span.kind for span in judged.trace.spans] == [SpanKind.JUDGE]


def test_each_test_is_judged_at_its_own_server(judged: Suite) -> None:
    judged.write("""
        import pytest

        @pytest.mark.kaizen_rubric("rubric.yaml")
        @pytest.mark.parametrize("number", [1, 2])
        def test_it(kaizen_llm, kaizen, number):
            kaizen_llm.reply(json={"faithful": {"reason": f"server {number}", "score": "yes"}})
            kaizen.case(output="text")
    """)
    judged.run("-Werror", passed=2, code=0)
    reasons = [case.samples[0].trace.scores[0].reason for case in judged.cases.values()]
    assert reasons == ["server 1", "server 2"]
    assert judged.llm.requests == []


def test_without_a_key_the_judge_is_an_error_that_says_so(
    judged: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv("HOME", str(judged.root))
    judged.run(failed=1, code=1)
    assert "no key for claude-haiku-4-5: set ANTHROPIC_API_KEY" in judged.failure[0]


def test_compare_asks_both_orders_and_records_the_calls(judged: Suite) -> None:
    judged.llm.reply(json={"reason": "shorter", "better": "first"}, when=is_judge, times=1)
    judged.llm.reply(json={"reason": "still shorter", "better": "second"}, when=is_judge)
    judged.write("""
        def test_it(kaizen):
            found = kaizen.compare("short", "very long", rubric="rubric.yaml", input="in")
            assert (found.winner, found.reasons) == ("a", ("shorter", "still shorter"))
    """)
    judged.run(passed=1, code=0)
    assert [span.kind for span in judged.trace.spans] == [SpanKind.JUDGE] * 2
    assert judged.trace.scores == []
    judged.run(passed=1, code=0)
    assert len(judged.llm.requests) == 2


def test_compare_with_a_judge_that_fails_fails_the_test(judged: Suite) -> None:
    judged.llm.fail(500, message="overheated", when=is_judge, times=None)
    judged.write("def test_it(kaizen):\n    kaizen.compare('x', 'y', rubric='rubric.yaml')")
    judged.run(failed=1, code=1)
    assert "ScoreError: judge: claude-haiku-4-5: HTTP 500 api_error: overheated" in judged.text
