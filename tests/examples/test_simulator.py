from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import anthropic
import pytest

from examples.support_bot.simulator import (
    draw_lessons,
    grade,
    relate_rules,
    simulated_model,
    write_summary,
)
from examples.support_bot.simulator.ticket import read_ticket
from examples.support_bot.support_bot.summarizer import summarize
from examples.support_bot.support_bot.tickets import Ticket, load_tickets
from pytest_kaizen.llm import AnthropicLLM
from pytest_kaizen.models import Feedback, Score
from pytest_kaizen.optimize import Failure, ReflectionRequest, RelateRequest
from pytest_kaizen.optimize.llm_reflector import reflect_text, relate_text
from pytest_kaizen.prices import load_prices
from pytest_kaizen.score import Judge, Rubric, load_rubric
from pytest_kaizen.scripted import ScriptedLLM

EXAMPLE = Path(__file__).parents[2] / "examples" / "support_bot"
KETTLE = load_tickets()[0]
EVERYTHING = "Name the product. State only facts. Give the next step. At most two sentences, nothing else."


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    with simulated_model() as server:
        monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        yield server


def _share(phrase: str, system: str) -> float:
    tickets = load_tickets()
    return sum(phrase in write_summary(system, ticket.text) for ticket in tickets) / len(tickets)


def _system(version: int) -> str:
    text = (EXAMPLE / "prompts" / "summarize_ticket" / f"{version}.md").read_text(encoding="utf-8")
    return text.split("---\n", 2)[2].replace("{{company}}", "Alder Home")


class TestWriter:
    def test_a_summary_under_a_good_prompt(self) -> None:
        assert write_summary(_system(2), KETTLE.text) == (
            "Mara Lindqvist reports a problem with the Alder Kettle: kettle switches off before the water "
            'boils. They write: "I would like to know whether this can be repaired." '
            "Next step: answer the customer's question."
        )

    def test_same_question_same_answer(self) -> None:
        assert write_summary("Summarize.", KETTLE.text) == write_summary("Summarize.", KETTLE.text)

    @pytest.mark.parametrize(
        ("instruction", "phrase"),
        [
            ("Name the product.", " Alder "),
            ("End with the next step.", "Next step:"),
        ],
    )
    def test_does_mostly_what_it_is_asked(self, instruction: str, phrase: str) -> None:
        assert 0.9 <= _share(phrase, instruction) <= 1
        assert _share(phrase, "Summarize.") <= 0.5

    @pytest.mark.parametrize(
        ("instruction", "phrase"),
        [
            ("State only facts.", "We will send a replacement"),
            ("Write two sentences.", "It is important to us"),
            ("Say what the problem is.", "is not satisfied"),
            ("Write nothing else.", "Sure, here is"),
        ],
    )
    def test_leaves_out_what_it_is_asked_to(self, instruction: str, phrase: str) -> None:
        assert _share(phrase, instruction) <= 0.05
        assert _share(phrase, "Summarize.") >= 0.1

    def test_even_a_good_prompt_misses_a_few(self) -> None:
        assert 0.9 <= _share("Next step:", EVERYTHING) < 1


class TestReader:
    def test_urgency_set_by_hand_is_what_the_words_say(self) -> None:
        wrong = [t.id for t in load_tickets() if read_ticket(t.text).urgent != (t.urgency == "high")]
        assert wrong == []

    def test_ticket_of_another_form(self) -> None:
        seen = read_ticket("It broke after 2.5 hours. Please refund me.")
        assert (seen.customer, seen.product, seen.urgent) == ("A customer", "the product", False)
        assert (seen.subject, seen.request) == ("It broke after 2.5 hours", "Please refund me.")


def _judge(summary: str, ticket: Ticket, rubric: Rubric) -> dict[str, Score]:
    llm = AnthropicLLM(load_prices())
    try:
        scores = Judge(llm, "claude-haiku-4-5").judge(
            rubric, rubric.judged, input=ticket.text, output=summary, reference=None
        )
    finally:
        llm.close()
    return {score.name: score for score in scores}


@pytest.mark.usefixtures("llm")
class TestGrader:
    rubric = load_rubric(EXAMPLE / "rubrics" / "summary.yaml")

    def test_good_summary(self) -> None:
        scores = _judge(write_summary(_system(2), KETTLE.text), KETTLE, self.rubric)
        assert {name: score.value for name, score in scores.items()} == {
            "summary.faithful": 1.0,
            "summary.problem": 1.0,
            "summary.next_step": 1.0,
        }

    def test_bad_summary(self) -> None:
        summary = "A customer wrote. We will send a replacement within 48 hours."
        scores = _judge(summary, KETTLE, self.rubric)
        assert {name: score.value for name, score in scores.items()} == {
            "summary.faithful": 0.0,
            "summary.problem": 0.0,
            "summary.next_step": 0.0,
        }
        promise = 'The ticket does not say "We will send a replacement within 48 hours".'
        assert scores["summary.faithful"].reason == promise

    def test_number_that_is_not_in_the_ticket(self) -> None:
        scores = _judge("The kettle cost 49.90 euros.", KETTLE, self.rubric)
        assert scores["summary.faithful"].reason == "The number 49.90 is not in the ticket."

    def test_problem_told_in_part(self) -> None:
        value = _judge("The kettle switches itself off.", KETTLE, self.rubric)["summary.problem"].value
        assert value == 0.5


def _rules(*feedback: Feedback, prompt: str = "Summarize.", ticket: str = KETTLE.text) -> list[str]:
    failure = Failure(case_id="case", input=ticket, output="Hm.", score=0.5, feedback=feedback)
    request = ReflectionRequest(task="summarize", prompt=prompt, failures=(failure,))
    return [lesson["rule"] for lesson in json.loads(draw_lessons(reflect_text(request)))["lessons"]]


class TestReflector:
    def test_it_says_as_a_rule_what_a_run_is_said_to_lack(self) -> None:
        expected = "States only what is there. Promises nothing and invents no facts."
        faithful = Feedback(criterion="summary.faithful", score=0, expected=expected, reason="It promises.")
        short = Feedback(criterion="summary.short", score=0, expected="at most 360 characters")
        assert _rules(faithful, short) == [
            "State only what is there. Promise nothing and invent no facts.",
            "Keep the answer short: at most 360 characters.",
        ]

    def test_other_criteria_other_rules(self) -> None:
        assert _rules(Feedback(criterion="rhymes", score=0, expected="Uses rhymes.")) == ["Use rhymes."]

    def test_it_knows_nothing_but_what_it_is_shown(self) -> None:
        assert _rules() == []
        assert _rules(Feedback(criterion="quality", score=0)) == ["Keep the answer quality."]

    def test_nothing_that_the_prompt_says(self) -> None:
        said = Feedback(criterion="rhymes", score=0, expected="Uses rhymes.")
        assert _rules(said, prompt="Summarize.\n- Use rhymes.") == []

    def test_now_and_then_it_learns_from_one_ticket_too_much(self) -> None:
        said = Feedback(criterion="rhymes", score=0, expected="Uses rhymes.")
        rules = [_rules(said, ticket=ticket.text)[0] for ticket in load_tickets()]
        odd = [rule for rule in rules if rule != "Use rhymes."]
        assert 3 <= len(odd) <= 20
        assert all(rule.startswith("If the ticket is about ") for rule in odd)

    def test_rules_of_the_same_words_are_the_same(self) -> None:
        request = RelateRequest(
            task="summarize", new=("Name the product.", "Use rhymes."), known=("Always name the product.",)
        )
        text = relate_text(request)
        assert json.loads(relate_rules(text))["relations"] == []
        same = request.model_copy(update={"new": ("State only facts of the ticket.",)})
        same = same.model_copy(update={"known": ("Be kind.", "State the facts of the ticket.")})
        found = json.loads(relate_rules(relate_text(same)))["relations"]
        assert found == [{"new": 1, "known": 2, "kind": "same"}]


def test_criterion_that_it_does_not_know_is_graded_by_common_words() -> None:
    score = {"type": "string", "enum": ["no", "yes"]}
    schema = {"properties": {"polite": {"properties": {"reason": {"type": "string"}, "score": score}}}}
    prompt = "- polite (yes or no): Is polite.\nBEGIN INPUT ab\nthe kettle leaks\nEND INPUT ab\n"
    prompt += "BEGIN OUTPUT ab\nThe kettle leaks badly.\nEND OUTPUT ab"
    expected = {"polite": {"reason": "67% of the summary's words are the ticket's own.", "score": "yes"}}
    assert json.loads(grade(prompt, schema)) == expected


def test_application_gets_its_summaries_from_it(llm: ScriptedLLM) -> None:
    with anthropic.Anthropic() as client:
        summary = summarize(client, KETTLE, system=EVERYTHING)
    assert summary == write_summary(EVERYTHING, KETTLE.text)
    assert [request.system for request in llm.requests] == [EVERYTHING]
