"""Cases and a weak prompt → a proposal: what it will cost, split, search, validate, accept."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ..errors import BudgetExceeded, UsageError
from ..models import Decision, Insight, Proposal, Spend
from .acceptance import Standard, accept
from .budget import Budget, Ledger, Meter
from .engine_dspy import DspyEngine
from .engine_gepa import GepaEngine
from .engine_insights import InsightsEngine
from .search import (
    DEFAULT_SHARES,
    Candidate,
    Evaluator,
    OnEvent,
    ReflectionRequest,
    Reflector,
    SearchJob,
    Split,
    TaskCase,
    split_cases,
)
from .workbench import Engine, Workbench, failures_in, mean_score

DEFAULT_ENGINE = "insights"
ENGINES: dict[str, Callable[[], Engine]] = {
    DEFAULT_ENGINE: InsightsEngine,
    "gepa": GepaEngine,
    "gepa-plain": lambda: GepaEngine(plain=True),
    "dspy": DspyEngine,
    "dspy-gepa": lambda: DspyEngine(gepa=True),
}


#: Rollouts of the pilot.
_PILOT = 3
#: How far the prompt may grow: what it and each rollout costs grows by as much at most.
_GROWTH = 2.0

#: Candidates that are compared on the validation cases.
_FINALISTS = 3


class CostEstimate(NamedTuple):
    """A range, from what is likely the least to the most.

    Attributes:
        usd: None when the pilot's rollouts have no known price.
        rollouts: The final comparison included.
        calls: Calls to the model that reflects.
        reasons: Whether the scores say why: without reasons a reflection has nothing to go by, and
            the user is to be warned before more is spent.
        notes: What else is to be known before that.
    """

    usd: tuple[float, float] | None
    rollouts: tuple[int, int]
    calls: tuple[int, int]
    reasons: bool
    notes: tuple[str, ...] = ()


def estimate(bench: Workbench, engine: Engine, final: int) -> CostEstimate:
    """Run a few cases and one reflection, and scale them up.

    Args:
        bench: Runs and meters the pilot.
        engine: Says how much of each it will use.
        final: The rollouts of the comparison after the search.

    Raises:
        BudgetExceeded: Not even the pilot fits.
        LLMError: The reflecting model failed.
    """
    job = bench.job
    cases = job.search[:_PILOT]
    rollouts = bench.run(job.prompt, cases)
    failures = failures_in(rollouts, cases)
    per_call = 0.0
    if failures:
        lessons = bench.reflect(
            ReflectionRequest(
                task=job.task, prompt=job.prompt, failures=tuple(failures[: job.chunk]), mode=job.mode
            )
        )
        per_call = lessons.cost_usd / max(lessons.calls, 1)
    cap = bench.meter.budget.rollouts
    search = engine.estimate(job, None if cap is None else max(cap - final, 0))
    counts = (search.rollouts[0] + final, search.rollouts[1] + final)
    costs = [rollout.cost_usd for rollout in rollouts if rollout.cost_usd is not None]
    usd = None
    if len(costs) == len(rollouts):
        mean = sum(costs) / len(costs)
        usd = (
            counts[0] * mean + search.calls[0] * per_call,
            _GROWTH * (counts[1] * max(costs) + search.calls[1] * per_call),
        )
    reasons = not failures or any(item.reason for failure in failures for item in failure.feedback)
    return CostEstimate(usd, counts, search.calls, reasons)


@dataclass(frozen=True)
class Improve:
    """What is to be improved, and how.

    Attributes:
        prompt: The text of the active prompt.
        cases: All the cases of the task.
        model: The model that answers under the prompt.
        rubric: The SHA-256 of what judges.
        reflector: The model that reflects.
        engine: One of ``ENGINES``.
        shares: The shares of search and validation; the rest is held out.
        standard: What the winner must reach on the held-out cases.
        insights: The task's insights so far.
        epochs: How often the search may pass over its cases.
        chunk: Failures per reflection.
        mode: How long traces are read.
    """

    task: str
    prompt: str
    cases: tuple[TaskCase, ...]
    model: str = ""
    rubric: str = ""
    reflector: str = ""
    engine: str = DEFAULT_ENGINE
    shares: tuple[float, float] = DEFAULT_SHARES
    standard: Standard = field(default_factory=Standard)
    insights: tuple[Insight, ...] = ()
    seed: int = 0
    epochs: int = 8
    chunk: int = 3
    mode: Literal["standard", "recursive"] = "standard"


@dataclass(frozen=True)
class Improved:
    """What came of it.

    Attributes:
        proposal: None when nothing better was found.
        sentence: What came of it, in one sentence.
        insights: The lessons of the best candidate, proposed or not.
        spend: What counts against the budget; ``paid`` is the part that this process paid for.
    """

    proposal: Proposal | None
    sentence: str
    split: Split
    insights: tuple[Insight, ...]
    spend: Spend
    paid: Spend


def improve(
    request: Improve,
    *,
    evaluate: Evaluator,
    reflect: Reflector,
    ledger: Ledger,
    budget: Meter,
    on_event: OnEvent,
) -> Improved:
    """Search for a better prompt and prove it on cases that the search never saw.

    A job that was killed is resumed by calling this again with the same request and ledger. The
    rollouts of the final comparison are kept back from the search, so that a search never ends
    without the means to prove what it found.

    Args:
        request: What is to be improved.
        evaluate: Runs cases.
        reflect: Reflects on failures.
        ledger: Remembers what was paid for.
        budget: Refuses what would pass a cap.
        on_event: Is told about progress.

    Raises:
        UsageError: An unknown engine, too few cases to search in, or a budget that does not even
            cover the final comparison.
        LLMError: The reflecting model failed again and again.
    """
    job, split, final = _plan(request, budget)
    bench = Workbench(job, evaluate, reflect, ledger, budget, on_event)
    with budget.held(final):
        candidates = ENGINES[request.engine]().run(job, evaluate, reflect, ledger, budget, on_event)
    insights: tuple[Insight, ...] = candidates[0].insights if candidates else ()

    def done(sentence: str, proposal: Proposal | None = None) -> Improved:
        bench.say(sentence)
        return Improved(
            proposal, sentence, split, insights, budget.used.model_copy(), budget.paid.model_copy()
        )

    if not candidates:
        return done("nothing better was found")
    try:
        bench.say("validating")
        best, score = _best(bench, candidates)
        if best is None:
            return done("no candidate scored higher than the active prompt on the validation cases")
        insights = best.insights
        bench.say("comparing on held-out cases")
        verdict = accept(bench, ledger, best.text, split.held_out, request.standard)
    except BudgetExceeded as exc:
        return done(f"the budget ended before the comparison: {exc}")
    if verdict.decision is Decision.REJECTED:
        return done(verdict.sentence)
    parent, sha256 = _sha256(request.prompt), _sha256(best.text)
    proposal = Proposal(
        id=_sha256(f"{request.task}\0{parent}\0{sha256}")[:16],
        task=request.task,
        parent_sha256=parent,
        sha256=sha256,
        text=best.text,
        diff=_diff(request.prompt, best.text),
        insights=list(best.insights),
        engine=request.engine,
        validation=score,
        acceptance=verdict,
        spend=budget.used.model_copy(),
    )
    return done(verdict.sentence, proposal)


class Plan(NamedTuple):
    """What an improvement may take, as far as that is known without asking a model.

    Attributes:
        split: The cases by what they are for.
        rollouts: At most, the final comparison included.
        calls: To the model that reflects, at most.
    """

    split: Split
    rollouts: int
    calls: int


def plan_improve(request: Improve, budget: Budget) -> Plan:
    """Say what an improvement may take; raises ``UsageError`` as ``improve``."""
    job, split, final = _plan(request, Meter(budget))
    cap = None if budget.rollouts is None else max(budget.rollouts - final, 0)
    search = ENGINES[request.engine]().estimate(job, cap)
    return Plan(split, search.rollouts[1] + final, search.calls[1])


def estimate_improve(
    request: Improve,
    *,
    evaluate: Evaluator,
    reflect: Reflector,
    ledger: Ledger,
    budget: Meter,
    on_event: OnEvent,
) -> CostEstimate:
    """Say what an improvement will cost, from a pilot of a few rollouts and one reflection.

    The pilot goes through the same ledger and meter: the job that follows does not pay for it again.

    Raises:
        UsageError: As ``improve``.
        BudgetExceeded: Not even the pilot fits.
        LLMError: The reflecting model failed.
    """
    job, _, final = _plan(request, budget)
    bench = Workbench(job, evaluate, reflect, ledger, budget, on_event)
    return estimate(bench, ENGINES[request.engine](), final)


def _plan(request: Improve, budget: Meter) -> tuple[SearchJob, Split, int]:
    """Split the cases, and say how many rollouts the final comparison takes."""
    if request.engine not in ENGINES:
        raise UsageError(f"unknown engine '{request.engine}'; valid: {', '.join(ENGINES)}")
    search, validation = request.shares
    split = split_cases(request.cases, search=search, validation=validation)
    if not split.search:
        raise UsageError(
            f"'{request.task}' has {len(request.cases)} cases and none of them falls to the search; "
            "add cases with other inputs"
        )
    final = _final_rollouts(request, split)
    cap = budget.budget.rollouts
    if cap is not None and cap <= final:
        raise UsageError(
            f"a budget of {cap} rollouts is too small for '{request.task}': comparing a candidate with the "
            f"active prompt takes {final} of them; allow {2 * final} or more"
        )
    job = SearchJob(
        task=request.task,
        prompt=request.prompt,
        search=split.search,
        validation=split.validation,
        model=request.model,
        rubric=request.rubric,
        reflector=request.reflector,
        insights=request.insights,
        seed=request.seed,
        epochs=request.epochs,
        chunk=request.chunk,
        mode=request.mode,
    )
    return job, split, final


def _final_rollouts(request: Improve, split: Split) -> int:
    """The rollouts of validation and acceptance, for the active prompt and one candidate."""
    return 2 * (len(split.validation) + len(split.held_out) * request.standard.samples)


def _best(bench: Workbench, candidates: Sequence[Candidate]) -> tuple[Candidate | None, float | None]:
    """Pick the candidate that scores highest on the validation cases, if any beats the active prompt."""
    validation = bench.job.validation
    if not validation:
        return candidates[0], None
    floor = mean_score(bench.run(bench.job.prompt, validation))
    best: Candidate | None = None
    top = floor if floor is not None else 0.0
    for candidate in candidates[:_FINALISTS]:
        score = mean_score(bench.run(candidate.text, validation))
        if score is not None and score > top:
            best, top = candidate, score
    return best, top if best is not None else None


def _diff(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.split("\n"), after.split("\n"), "active", "candidate", lineterm="")
    return list(lines)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
