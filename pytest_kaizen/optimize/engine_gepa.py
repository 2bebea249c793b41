"""GEPA: Pareto search over whole prompts (Agrawal and others, *GEPA*, 2025), from the extra ``gepa``.

It is held on a short leash, because it leaves things open:

- It swallows errors of reflection; here a few in a row end the search.
- It goes on and on about a prompt without failures; here it stops.
- It passes its own budget; here the meter refuses the rollout that would.
- It resumes whatever its ``run_dir`` holds, from a pickle. It is never given one: a search that is
  repeated takes its rollouts and reflections from our ledger and comes to where it was.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import BudgetExceeded, ConfigError, LLMError
from ..models import Insight, Scored
from ..prompts.files import variables_in
from .budget import Ledger, Meter
from .search import (
    Candidate,
    Evaluator,
    Failure,
    OnEvent,
    ReflectionRequest,
    Reflector,
    RewriteRequest,
    SearchJob,
    TaskCase,
)
from .skillbook import Edit, Skillbook, apply_edits, has_line
from .workbench import MAX_ERRORS, Estimate, Workbench, failures_in

if TYPE_CHECKING:
    from gepa.core.adapter import EvaluationBatch


#: The one component of GEPA's candidates.
_PROMPT = "prompt"
#: Iterations without a rollout that was not known before: there is nothing left to learn.
_STALE = 20

_Proposal = dict[str, str]
_Records = Mapping[str, Sequence[Mapping[str, Any]]]


class GepaEngine:
    """GEPA's search; the proposals are ours.

    Args:
        plain: Let GEPA's own prompt ask for a whole new text instead, as GEPA by itself does.
    """

    def __init__(self, *, plain: bool = False) -> None:
        self._plain = plain

    def estimate(self, job: SearchJob, rollouts: int | None) -> Estimate:
        """Say what a search will use: GEPA validates the prompt first, then goes on until it is stopped."""
        validation, step = len(job.validation or job.search), 2 * job.chunk
        fewest = validation + step
        most = validation + _iterations(job) * (step + validation)
        if rollouts is not None:
            fewest, most = min(fewest, rollouts), min(most, rollouts)
        calls = 1 if self._plain else 2
        return Estimate((fewest, most), (calls, calls * (most // step + 1)))

    def run(
        self,
        job: SearchJob,
        evaluate: Evaluator,
        reflect: Reflector,
        ledger: Ledger,
        budget: Meter,
        on_event: OnEvent,
    ) -> list[Candidate]:
        """Search until the budget is used up or nothing new comes; see ``Engine.run``.

        Raises:
            ConfigError: The extra is not installed.
            LLMError: The reflecting model failed again and again.
        """
        try:
            from gepa.api import optimize
        except ImportError:
            raise ConfigError(
                "the engine 'gepa' needs an extra: pip install 'pytest-kaizen[gepa]', or use 'insights'"
            ) from None
        bench = Workbench(job, evaluate, reflect, ledger, budget, on_event)
        search: _Search = _PlainSearch(bench) if self._plain else _InsightSearch(bench)
        # GEPA's protocols ask for every callback there is, and for free type variables.
        adapter: Any = _Adapter(bench)
        callbacks: list[Any] = [search]
        try:
            optimize(
                {_PROMPT: job.prompt},
                trainset=list(job.search),
                valset=list(job.validation or job.search),
                adapter=adapter,
                custom_candidate_proposer=search.propose,
                reflection_minibatch_size=min(job.chunk, len(job.search)),
                stop_callbacks=search.is_over,
                callbacks=callbacks,
                logger=_Silence(),
                seed=job.seed,
            )
        except BudgetExceeded as exc:
            bench.say(f"stopped: {exc}")
        if search.error is not None:
            raise search.error
        return search.candidates()


def _iterations(job: SearchJob) -> int:
    """The iterations that pass over all the search's cases ``epochs`` times."""
    return job.epochs * math.ceil(len(job.search) / job.chunk)


class _Adapter:
    """Runs cases for GEPA."""

    propose_new_texts = None

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def evaluate(
        self,
        batch: list[TaskCase],
        candidate: dict[str, str],
        capture_traces: bool = False,
    ) -> EvaluationBatch[tuple[TaskCase, Scored], Scored]:
        from gepa.core.adapter import EvaluationBatch

        rollouts = self._bench.run(candidate[_PROMPT], batch)
        return EvaluationBatch(
            outputs=rollouts,
            # GEPA has no word for a rollout without a score; its own advice is 0.
            scores=[rollout.score or 0.0 for rollout in rollouts],
            trajectories=list(zip(batch, rollouts, strict=True)) if capture_traces else None,
        )

    def make_reflective_dataset(
        self,
        candidate: dict[str, str],  # noqa: ARG002 - GEPA's protocol
        eval_batch: EvaluationBatch[tuple[TaskCase, Scored], Scored],
        components_to_update: list[str],
    ) -> _Records:
        pairs = eval_batch.trajectories or []
        records = [_record(case, rollout) for case, rollout in pairs]
        return dict.fromkeys(components_to_update, records)


def _same_variables(one: str, other: str) -> bool:
    return set(variables_in(one)) == set(variables_in(other))


def _record(case: TaskCase, rollout: Scored) -> dict[str, Any]:
    feedback = [
        f"{item.criterion} {item.score}: {item.reason or ''} (expected: {item.expected or ''})"
        for item in rollout.feedback
    ]
    failures = failures_in([rollout], [case])
    return {
        "Inputs": case.input,
        "Generated Outputs": rollout.output or "",
        "Feedback": "\n".join(feedback) or f"score {rollout.score}",
        "failure": failures[0] if failures else None,
    }


class _Silence:
    """GEPA's log, dropped: it holds prompts and outputs."""

    def log(self, message: str) -> None:
        pass


class _Search(ABC):
    """What GEPA calls back: proposals, stopping, the scores of what it validated."""

    def __init__(self, bench: Workbench) -> None:
        self.error: LLMError | None = None
        self._bench = bench
        self._job = bench.job
        self._scores: dict[str, float] = {}
        self._errors = 0
        self._asked = 0
        self._stop = False
        self._rollouts = -1
        self._stale = 0
        self._iterations = 0

    def propose(
        self,
        candidate: dict[str, str],
        reflective_dataset: _Records,
        components_to_update: list[str],
    ) -> _Proposal:
        """Give GEPA a new text, or none when there is nothing to say."""
        if self._stop:
            return {}
        self._asked += 1
        texts = {}
        try:
            for component in components_to_update:
                text = self._new_text(candidate[component], reflective_dataset.get(component, ()))
                # A text with other variables could not be rendered by the tests.
                if text and text != candidate[component] and _same_variables(text, candidate[component]):
                    texts[component] = text
        except BudgetExceeded as exc:
            self._stop = True
            self._bench.say(f"stopped: {exc}")
        except LLMError as exc:
            self._errors += 1
            self._bench.say(f"reflection failed: {exc}")
            if self._errors >= MAX_ERRORS:
                self._stop, self.error = True, exc
        else:
            self._errors = 0
            return texts
        return {}

    @abstractmethod
    def _new_text(self, prompt: str, records: Sequence[Mapping[str, Any]]) -> str | None:
        """Make a new text from a prompt and what GEPA recorded of its rollouts."""

    def is_over(self, gepa_state: object) -> bool:  # noqa: ARG002 - GEPA passes its own idea of the state
        """Tell GEPA to stop: on errors, without failures, after all epochs, when nothing new comes."""
        self._iterations += 1
        used = self._bench.meter.used.rollouts
        self._stale = self._stale + 1 if used == self._rollouts else 0
        self._rollouts = used
        return self._stop or self._stale > _STALE or self._iterations > _iterations(self._job)

    def on_valset_evaluated(self, event: Mapping[str, Any]) -> None:
        """Take in the score of a candidate on all validation cases."""
        self._scores[event["candidate"][_PROMPT]] = event["average_score"]
        self._bench.best = max(self._scores.values())
        self._bench.say(f"{len(self._scores)} candidates")
        self._stop = self._stop or self._bench.best >= 1

    def insights(self, prompt: str) -> tuple[Insight, ...]:  # noqa: ARG002 - GEPA by itself has none
        """Return the lessons that stand in a prompt."""
        return ()

    def candidates(self) -> list[Candidate]:
        """Return what beats the active prompt on the validation cases, the best first."""
        floor = self._scores.get(self._job.prompt, 0.0)
        better = [text for text, score in self._scores.items() if score > floor]
        better.sort(key=lambda text: -self._scores[text])
        return [Candidate(text, self.insights(text)) for text in better]


class _InsightSearch(_Search):
    """GEPA's search over the small edits of our lessons."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self._book = Skillbook(bench, bench.job.insights)
        self._lessons: dict[str, Insight] = {}

    def _new_text(self, prompt: str, records: Sequence[Mapping[str, Any]]) -> str | None:
        failures: tuple[Failure, ...] = tuple(record["failure"] for record in records if record["failure"])
        if not failures:
            return None
        request = ReflectionRequest(
            task=self._job.task,
            prompt=prompt,
            failures=failures,
            rejected=self._book.rejected,
            mode=self._job.mode,
            attempt=self._asked,
        )
        insights, clashes = self._book.merge(self._bench.reflect(request).lessons, failures)
        edits = []
        # GEPA judges a text as a whole: a wrong lesson rides along with right ones and stays. One that
        # several reflections came to is more likely right.
        insights = [insight for insight in insights if insight.votes > 1] or insights[:1]
        for insight in insights:
            lines = [text for text in clashes.get(insight.id, ()) if has_line(prompt, text)]
            edits.append(Edit("change", insight.text, lines[0]) if lines else Edit("add", insight.text))
            self._lessons[insight.text] = insight
        return apply_edits(prompt, edits)

    def insights(self, prompt: str) -> tuple[Insight, ...]:
        return tuple(insight for text, insight in self._lessons.items() if has_line(prompt, text))


class _PlainSearch(_Search):
    """GEPA as it is: its own prompt, a whole new text each time."""

    def _new_text(self, prompt: str, records: Sequence[Mapping[str, Any]]) -> str | None:
        from gepa.strategies.instruction_proposal import InstructionProposalSignature

        shown = [{key: value for key, value in record.items() if key != "failure"} for record in records]
        asked = InstructionProposalSignature.prompt_renderer(
            {"current_instruction_doc": prompt, "dataset_with_feedback": shown, "prompt_template": None}
        )
        answer = self._bench.rewrite(RewriteRequest(text=str(asked), attempt=self._asked))
        return InstructionProposalSignature.output_extractor(answer.text)["new_instruction"]
