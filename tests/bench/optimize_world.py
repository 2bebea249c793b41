"""A world in which the quality of answers depends on the rules in the prompt.

What is true in it, and nobody but the world knows:

- An input touches one to three of ten topics. Fourteen requirements each belong to one of four
  criteria; four hold for every input, the others for inputs on their topic.
- A requirement is met with probability 0.08 to 0.2 by itself, and with 0.92 when its rule stands in
  the prompt, times the model's attention. Attention falls with the length of the prompt.
- Each requirement has a wrong rule that says the opposite: alone it makes the requirement all but
  impossible, beside the right rule it makes it a matter of chance. Each also has a plausible rule
  that does not help it and harms another requirement wherever that holds. Harms add up.
- The true score of an input is the mean over its criteria of the share of requirements met. The
  judge misreads one requirement in twelve, and names in its reason one requirement that it believes
  missed; one reason in four names nothing.

The reflector sees the prompt and the failures that it is shown, as texts. Per reason it writes the
right rule in one of three wordings (68 %), the opposite (10 %) or the plausible one (22 %); from a
reason that names nothing it writes a plausible rule at random, or nothing. It usually notices that a
rule stands in the prompt already or was rejected.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pytest_kaizen.models import Feedback, Scored
from pytest_kaizen.optimize import (
    Lesson,
    Lessons,
    ReflectionRequest,
    RelateRequest,
    Relation,
    Relations,
    Rewrite,
    RewriteRequest,
    TaskCase,
)

BASE = "You answer the customers of a shop. Be brief and friendly.\nThe customer writes: {{ message }}"
TOPICS = 10
REQUIREMENTS = 14
GLOBAL = 4
CRITERIA = ("complete", "correct", "tone", "format")
MET = 0.92
NOISE = 1 / 12
VAGUE = 0.25
RIGHT, OPPOSITE = 0.68, 0.10
_WORDINGS = ("Always {}.", "Make sure to {}.", "In every such reply, {}.")
_ACTS = (
    "state the order number", "name the delivery date", "offer a refund", "link the return form",
    "apologise once", "thank for the photo", "use the customer's name", "quote the price with tax",
    "give the opening hours", "mention the warranty", "list the next steps", "sign with the team's name",
    "ask one question at most", "write plain sentences",
)  # fmt: skip


@dataclass(frozen=True)
class Requirement:
    number: int
    act: str
    criterion: str
    topic: int | None
    base: float
    harmed: int

    def wordings(self, kind: str) -> list[str]:
        if kind == "right":
            return [wording.format(self.act) for wording in _WORDINGS]
        if kind == "opposite":
            return [wording.format(f"avoid to {self.act}") for wording in _WORDINGS]
        return [f"Keep to the template for case {self.number}.", f"Follow template number {self.number}."]


@dataclass
class World:
    """One world: its requirements, cases and judge. ``seed`` makes another world.

    Attributes:
        helpful: Whether right rules help.
        noise: The share of requirements that the judge misreads.
        right: The share of right rules among those that are written for a reason.
        objectives: Whether rollouts tell the score of each criterion, or the total alone.
    """

    seed: int
    cases: int = 80
    helpful: bool = True
    noise: float = NOISE
    right: float = RIGHT
    objectives: bool = True
    requirements: list[Requirement] = field(init=False)
    inputs: dict[str, TaskCase] = field(init=False)
    unseen: list[TaskCase] = field(init=False)
    evaluations: int = 0

    def __post_init__(self) -> None:
        rng = random.Random(f"world:{self.seed}")
        acts = list(_ACTS)
        rng.shuffle(acts)
        self.requirements = [
            Requirement(
                number,
                acts[number],
                CRITERIA[number % len(CRITERIA)],
                None if number < GLOBAL else (number - GLOBAL) % TOPICS,
                rng.uniform(0.08, 0.2),
                rng.choice([other for other in range(REQUIREMENTS) if other != number]),
            )
            for number in range(REQUIREMENTS)
        ]
        made = [self._case(rng, number) for number in range(self.cases + 200)]
        self.inputs = {case.id: case for case in made[: self.cases]}
        self.unseen = made[self.cases :]
        self._lines = {
            wording: (requirement.number, kind)
            for requirement in self.requirements
            for kind in ("right", "opposite", "plausible")
            for wording in requirement.wordings(kind)
        }

    @staticmethod
    def _case(rng: random.Random, number: int) -> TaskCase:
        topics = sorted(rng.sample(range(TOPICS), rng.randint(1, 3)))
        words = ", ".join(f"topic{topic}" for topic in topics)
        return TaskCase(f"test_shop.py::test_reply[{number}]", f"Message {number} about {words}.")

    def rules(self, prompt: str) -> set[tuple[int, str]]:
        """The rules that stand in a prompt, as the answering model takes them."""
        lines = (line.strip().lstrip("-* ") for line in prompt.split("\n"))
        return {self._lines[line] for line in lines if line in self._lines}

    def chances(self, prompt: str, case: TaskCase) -> dict[int, float]:
        """The chance that each requirement of an input is met."""
        rules = self.rules(prompt)
        words = len(prompt.split())
        attention = math.exp(-((max(words - 140, 0) / 160) ** 1.5))
        topics = {int(topic) for topic in re.findall(r"topic(\d+)", case.input)}
        harms = [self.requirements[number].harmed for number, kind in rules if kind == "plausible"]
        chances = {}
        for requirement in self.requirements:
            if requirement.topic is not None and requirement.topic not in topics:
                continue
            right = (requirement.number, "right") in rules and self.helpful
            opposite = (requirement.number, "opposite") in rules
            chance = requirement.base
            if right and opposite:
                chance = 0.4 * attention
            elif right:
                chance = MET * attention
            elif opposite:
                chance = 0.02
            chances[requirement.number] = chance * 0.45 ** harms.count(requirement.number)
        return chances

    def true_score(self, prompt: str, cases: Iterable[TaskCase] | None = None) -> float:
        """The expected score over unseen inputs."""
        scores = []
        for case in self.unseen if cases is None else cases:
            by_criterion: dict[str, list[float]] = {}
            for number, chance in self.chances(prompt, case).items():
                by_criterion.setdefault(self.requirements[number].criterion, []).append(chance)
            scores.append(sum(sum(met) / len(met) for met in by_criterion.values()) / len(by_criterion))
        return sum(scores) / len(scores)

    def best_prompt(self) -> str:
        """The prompt with exactly the right rules."""
        rules = [requirement.wordings("right")[0] for requirement in self.requirements]
        return BASE + "\n\nFollow these rules:\n" + "\n".join(f"- {rule}" for rule in rules)

    def evaluate(self, prompt: str, cases: Sequence[str], samples: Sequence[int]) -> Iterable[Scored]:
        """Run cases and have a noisy judge score them; the same rollout comes out the same."""
        for case_id in cases:
            for sample in samples:
                self.evaluations += 1
                yield self._rollout(prompt, self.inputs[case_id], sample)

    def _rollout(self, prompt: str, case: TaskCase, sample: int) -> Scored:
        digest = hashlib.sha256(f"{self.seed}\0{prompt}\0{case.id}\0{sample}".encode()).hexdigest()
        rng = random.Random(digest)
        seen: dict[str, dict[int, bool]] = {}
        for number, chance in self.chances(prompt, case).items():
            met = rng.random() < chance
            misread = rng.random() < self.noise
            seen.setdefault(self.requirements[number].criterion, {})[number] = met != misread
        feedback = []
        objectives = {}
        for criterion, met_by in seen.items():
            objectives[criterion] = sum(met_by.values()) / len(met_by)
            missed = [number for number, met in met_by.items() if not met]
            if missed:
                act = self.requirements[rng.choice(missed)].act
                reason = "It could be better." if rng.random() < VAGUE else f"The reply does not {act}."
                feedback.append(
                    Feedback(
                        criterion=criterion,
                        score=objectives[criterion],
                        expected=f"The reply is good in respect of: {criterion}.",
                        observed="a reply without it",
                        reason=reason,
                    )
                )
        return Scored(
            case_id=case.id,
            sample=sample,
            score=sum(objectives.values()) / len(objectives),
            output=f"Dear customer, about your message ({case.input}) ...",
            feedback=tuple(feedback),
            objectives=objectives if self.objectives else {},
            trace_id=digest[:32],
            cost_usd=0.001,
        )


@dataclass
class SimulatedReflector:
    """A model that reflects. ``drift`` is the chance that a rewriting loses a line of the prompt."""

    world: World
    drift: float = 0.0
    failing: int = 0
    shown: list[str] = field(default_factory=list)

    def reflect(self, request: ReflectionRequest) -> Lessons:
        self.shown.append(request.model_dump_json())
        rng = self._rng(request.model_dump_json())
        lessons = []
        for failure in request.failures:
            for item in failure.feedback:
                rule = self._rule(rng, item.reason or "", request.prompt, request.rejected)
                if rule is not None:
                    evidence = (failure.case_id,)
                    lessons.append(Lesson(rule=rule, criterion=item.criterion, evidence=evidence))
        return Lessons(lessons=tuple(lessons))

    def relate(self, request: RelateRequest) -> Relations:
        rng = self._rng(request.model_dump_json())
        found = []
        for new, text in enumerate(request.new):
            for known, other in enumerate(request.known):
                relation = self._relation(text, other)
                if relation is not None and rng.random() < 0.95:
                    found.append(Relation(new=new, known=known, kind=relation))
        return Relations(relations=tuple(found))

    def rewrite(self, request: RewriteRequest) -> Rewrite:
        """Rewrite a whole prompt as a GEPA reflection model does: keep what is there, add lessons."""
        self.shown.append(request.text)
        rng = self._rng(request.model_dump_json())
        parts = request.text.split("```")
        current, examples = parts[1].strip(), parts[3]
        head = BASE.split("\n")
        lines = [
            line for line in current.split("\n") if line in head or not line or rng.random() >= self.drift
        ]
        for reason in re.findall(r"The reply does not [^.\n]+\.|It could be better\.", examples):
            rule = self._rule(rng, reason, "\n".join(lines), ())
            if rule is not None:
                lines.append(f"- {rule}")
        return Rewrite(text="```\n" + "\n".join(lines) + "\n```")

    def _rule(self, rng: random.Random, reason: str, prompt: str, rejected: Sequence[str]) -> str | None:
        named = [r for r in self.world.requirements if f"does not {r.act}." in reason]
        if named:
            requirement, roll = named[0], rng.random()
            right = self.world.right
            kind = "right" if roll < right else "opposite" if roll < right + OPPOSITE else "plausible"
        elif rng.random() < 0.5:
            requirement, kind = rng.choice(self.world.requirements), "plausible"
        else:
            return None
        # A careful reader does not write what stands there in other words; now and then it does.
        if (requirement.number, kind) in self.world.rules(prompt) and rng.random() < 0.9:
            return None
        known = {self.world._lines.get(text) for text in rejected}
        if (requirement.number, kind) in known and rng.random() < 0.9:
            return None
        return rng.choice(requirement.wordings(kind))

    def _relation(self, one: str, other: str) -> str | None:
        first, second = self.world._lines.get(one), self.world._lines.get(other)
        if first is None or second is None or first[0] != second[0]:
            return None
        if first[1] == second[1]:
            return "same"
        return "contradicts" if {first[1], second[1]} == {"right", "opposite"} else None

    def _rng(self, text: str) -> random.Random:
        return random.Random(hashlib.sha256(f"{self.world.seed}\0{text}".encode()).hexdigest())
