from __future__ import annotations

import datetime
from typing import Any

from pytest_kaizen.models import Fall, MetricMean, TaskBaseline, TaskChanges, UsedPrompt
from pytest_kaizen.pipeline.history import task_changes
from pytest_kaizen.report.text import changes_lines

TEXTS = {"a" * 64: "Say hi.\nBe kind.", "b" * 64: "Say hello.\nBe kind.", "e" * 64: "::error::hi\nnow"}


def baseline(cases: dict[str, dict[str, float]], **more: Any) -> TaskBaseline:
    means = {
        case: {metric: MetricMean(mean=mean, samples=1) for metric, mean in metrics.items()}
        for case, metrics in cases.items()
    }
    return TaskBaseline(created=datetime.date(2026, 1, 1), cases=means, **more)


def changes(before: TaskBaseline, now: TaskBaseline, *, whole: bool = True) -> TaskChanges:
    return task_changes(before, now, since="base.json", whole=whole, text_of=TEXTS.get)


def test_cases_fall_in_the_order_of_their_falls() -> None:
    before = baseline({name: {"score": 0.9} for name in "abcdefg"})
    now = baseline({name: {"score": 0.9 - 0.1 * n} for n, name in enumerate("abcdefg")})
    found = changes(before, now)
    assert [fall.name for fall in found.cases] == ["g", "f", "e", "d", "c"]
    assert found.score is not None
    assert (round(found.score.before, 9), round(found.score.now, 9)) == (0.9, 0.6)


def test_criteria_and_checks_fall_but_no_totals() -> None:
    before = baseline(
        {"a": {"score": 1, "pass_rate": 1, "tone": 1, "tone.kind": 1, "tone.short": 1, "named": 1}}
    )
    now = baseline(
        {"a": {"score": 0, "pass_rate": 0, "tone": 0, "tone.kind": 0.2, "tone.short": 1, "named": 0.5}}
    )
    assert changes(before, now).criteria == [
        Fall(name="tone.kind", before=1, now=0.2),
        Fall(name="named", before=1, now=0.5),
    ]


def test_only_cases_in_both_count() -> None:
    before = baseline({"a": {"score": 0.5}, "gone": {"score": 1}})
    now = baseline({"a": {"score": 0.5}, "new": {"score": 0}})
    found = changes(before, now)
    assert found.score == Fall(name="score", before=0.5, now=0.5)
    assert (found.paired, found.new, found.removed, found.cases) == (1, ["new"], ["gone"], [])
    assert changes(before, now, whole=False).removed == []


def test_what_the_runs_were_made_with() -> None:
    one = UsedPrompt(version=1, sha256="a" * 64)
    two = UsedPrompt(version=2, sha256="b" * 64)
    before = baseline(
        {}, prompts=(one,), models=("m1",), judges=("j1",), rubrics={"tone": "1" * 64}, revision="c" * 40
    )
    now = baseline(
        {}, prompts=(two,), models=("m1", "m2"), judges=(), rubrics={"tone": "2" * 64, "new": "3" * 64}
    )
    found = changes(before, now)
    assert found.facts == [
        ("prompt", "v1 (aaaaaaaa)", "v2 (bbbbbbbb)"),
        ("model", "m1", "m1, m2"),
        ("judge", "j1", "none"),
        ("rubric new", "none", "33333333"),
        ("rubric tone", "11111111", "22222222"),
        ("revision", "cccccccc", "none"),
    ]
    assert found.prompt_diff == [
        "--- v1 (aaaaaaaa)",
        "+++ v2 (bbbbbbbb)",
        "@@ -1,2 +1,2 @@",
        "-Say hi.",
        "+Say hello.",
        " Be kind.",
    ]


def test_a_text_that_nobody_has() -> None:
    lost = UsedPrompt(version=1, sha256="d" * 64)
    now = UsedPrompt(version=1, sha256="a" * 64)
    found = changes(baseline({}, prompts=(lost,)), baseline({}, prompts=(now,)))
    assert found.prompt_diff == ["the text of v1 (dddddddd) is neither in the prompt files nor in the store"]


def test_a_prompt_is_no_command_to_a_ci_system() -> None:
    prompts = [UsedPrompt(version=1, sha256=letter * 64) for letter in "eb"]
    found = changes(baseline({}, prompts=(prompts[0],)), baseline({}, prompts=(prompts[1],)))
    assert found.prompt_diff[3] == "-::error::hi"
    found.prompt_diff = [" ::error::hi"]
    assert changes_lines("greet", found)[-1] == "     : :error::hi"


def test_a_long_diff_is_cut() -> None:
    texts = {"a" * 64: "\n".join(map(str, range(100))), "b" * 64: ""}
    prompts = [UsedPrompt(version=1, sha256=letter * 64) for letter in "ab"]
    found = task_changes(
        baseline({}, prompts=(prompts[0],)),
        baseline({}, prompts=(prompts[1],)),
        since="x",
        whole=True,
        text_of=texts.get,
    )
    assert len(found.prompt_diff) == 41
    assert found.prompt_diff[-1] == "... and 64 more lines"


def test_the_lines_of_the_report() -> None:
    before = baseline(
        {
            name: {"score": 0.9, "tone": 0.9, "tone.kind": 0.9}
            for name in ("a", "gone1", "gone2", "gone3", "gone4")
        },
        models=("m\x1b1",),
    )
    now = baseline({"a": {"score": 0.5, "tone": 0.5, "tone.kind": 0.5}, "new": {"score": 1}}, models=("m2",))
    assert changes_lines("greet", changes(before, now)) == [
        "greet: since base.json: score 0.90 to 0.50 over 1 case in both",
        "  cases that fell most: a 0.90 to 0.50",
        "  criteria that fell most: tone.kind 0.90 to 0.50",
        "  changed: model m\\x1b1 to m2",
        "  new: new",
        "  removed: gone1, gone2, gone3 and 1 more",
    ]


def test_nothing_changed() -> None:
    same = baseline({"a": {"score": 0.5}, "b": {"score": 0.5}})
    assert changes_lines("greet", changes(same, same)) == [
        "greet: since base.json: score 0.50 to 0.50 over 2 cases in both",
        "  changed: nothing: same prompt, models, judge, rubrics and revision",
    ]
