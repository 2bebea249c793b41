"""The skillbook: merged by a judge, weighed by tests, rejected lessons stay rejected."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_kaizen.models import Insight, InsightStatus
from pytest_kaizen.optimize import Failure, Lesson, Relation, Relations
from pytest_kaizen.optimize.skillbook import Skillbook, insight_id

FAILURES = tuple(
    Failure(case_id=f"c{number}", trace_id=f"t{number}", input="i", score=0.0) for number in range(3)
)


def lesson(rule: str, *evidence: str, **fields: Any) -> Lesson:
    return Lesson(rule=rule, evidence=evidence, **fields)


def test_a_lesson_becomes_an_insight_with_the_traces_it_was_drawn_from(make_bench: Any) -> None:
    book = Skillbook(make_bench())
    [insight], _ = book.merge([lesson("Be kind.", "c1", "made up", when="Upset customers")], FAILURES)
    assert insight.text == "Upset customers: Be kind."
    assert insight.id == insight_id("reply", insight.text)
    assert (insight.evidence, insight.votes, insight.status) == (("t1",), 1, InsightStatus.PENDING)
    assert book.cases == {insight.id: ["c1"]}
    [other], _ = book.merge([lesson("Be brief.")], FAILURES)
    assert other.evidence == ("t0", "t1", "t2")


def test_the_judge_merges_what_says_the_same(make_bench: Any, fake_reflector: Any) -> None:
    same = Relations(relations=(Relation(new=1, known=0, kind="same"),))
    reflector = fake_reflector(relations=same)
    book = Skillbook(make_bench(reflector=reflector))
    [insight], _ = book.merge([lesson("Be kind.", "c0"), lesson("Show kindness.", "c1")], FAILURES)
    assert (insight.text, insight.votes, insight.evidence) == ("Be kind.", 2, ("t0", "t1"))
    [request] = reflector.related
    assert (request.new, request.known) == (("Be kind.", "Show kindness."),) * 2
    [again], _ = book.merge([lesson("Show kindness.", "c2")], FAILURES)
    assert (again.id, again.votes) == (insight.id, 3)


def test_the_judge_finds_contradictions(make_bench: Any, fake_reflector: Any) -> None:
    against = Relations(relations=(Relation(new=0, known=0, kind="contradicts"),))
    reflector = fake_reflector()
    book = Skillbook(make_bench(reflector=reflector))
    book.merge([lesson("Always greet.", "c0")], FAILURES)
    reflector.relations = against
    [insight], clashes = book.merge([lesson("Never greet.", "c1")], FAILURES)
    assert clashes == {insight.id: ["Always greet."]}


def test_a_line_that_a_lesson_replaces_is_a_contradiction(make_bench: Any) -> None:
    [insight], clashes = Skillbook(make_bench()).merge([lesson("A.", "c0", replaces="B.")], FAILURES)
    assert clashes == {insight.id: ["B."]}


@pytest.mark.parametrize(
    "relation",
    [
        Relation(new=0, known=0, kind="same"),
        Relation(new=0, known=1, kind="contradicts"),
        Relation(new=5, known=0, kind="same"),
        Relation(new=-1, known=0, kind="same"),
    ],
    ids=["itself", "a later one", "no such rule", "negative"],
)
def test_relations_that_make_no_sense_are_left_out(
    make_bench: Any, fake_reflector: Any, relation: Relation
) -> None:
    book = Skillbook(make_bench(reflector=fake_reflector(relations=Relations(relations=(relation,)))))
    insights, clashes = book.merge([lesson("A.", "c0"), lesson("B.", "c0")], FAILURES)
    assert [insight.text for insight in insights] == ["A.", "B."]
    assert not any(clashes.values())


def test_a_rejected_insight_does_not_come_back(make_bench: Any) -> None:
    rejected = Insight(id=insight_id("reply", "A."), task="reply", rule="A.", status=InsightStatus.REJECTED)
    book = Skillbook(make_bench(), [rejected])
    assert book.merge([lesson("A.", "c0")], FAILURES)[0] == []
    assert book.rejected == ("A.",)


def test_a_rule_that_fails_its_tests_is_rejected(make_bench: Any) -> None:
    book = Skillbook(make_bench())
    [insight], _ = book.merge([lesson("A.", "c0")], FAILURES)
    assert book.balance(insight.id) < 0
    book.test(insight.id, 1.0)
    assert book.balance(insight.id) > 0
    assert book[insight.id].helpful == 1
    for _ in range(6):
        book.test(insight.id, 0.0)
    assert book.balance(insight.id) < 0
    assert (book[insight.id].harmful, book.tests(insight.id)) == (6, 7)
    assert book.rejected == ("A.",)


def test_more_cases_make_a_rule_more_credible_and_people_most(make_bench: Any) -> None:
    accepted = Insight(id=insight_id("reply", "B."), task="reply", rule="B.", status=InsightStatus.ACCEPTED)
    book = Skillbook(make_bench(), [accepted])
    [once], _ = book.merge([lesson("A.", "c0")], FAILURES)
    before = book.balance(once.id)
    book.merge([lesson("A.", "c1", "c2")], FAILURES)
    assert before < 0 < book.balance(once.id)
    assert book.balance(accepted.id) > 0


def test_empty_rules_are_no_lessons(make_bench: Any) -> None:
    assert Skillbook(make_bench()).merge([lesson("  ", "c0")], FAILURES) == ([], {})
