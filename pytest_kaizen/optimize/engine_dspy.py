"""DSPy's optimisers (Khattab and others, *DSPy*, 2023) over a program that is the prompt; extra ``dspy``.

The program has one step, whose instructions are the prompt, and which runs a case instead of asking a
model. What the optimisers ask a model goes through the job's reflector, so that it is metered, kept and
repeated from the ledger like everything else; DSPy's own caches, logs and files are not used.

DSPy swallows errors in many places, so what has to end a search is no ``Exception`` to it.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..errors import BudgetExceeded, ConfigError, LLMError
from ..models import Scored
from ..prompts.files import variables_in
from .budget import Ledger, Meter
from .search import Candidate, Evaluator, OnEvent, Reflector, RewriteRequest, SearchJob, TaskCase
from .workbench import MAX_ERRORS, Estimate, Workbench, mean_score

#: MIPROv2: instructions that are proposed, and trials among them as DSPy reckons them.
_PROPOSED = 6
_TRIALS = max(int(2 * math.log2(_PROPOSED)), int(1.5 * _PROPOSED))
#: Answers in a row from which no prompt came: DSPy cannot read them, and would go on asking.
_IDLE = 40
_SHOWN = 200


class DspyEngine:
    """MIPROv2 (Opsahl-Ong and others, 2024): instructions from the cases, picked by Bayesian search.

    Args:
        gepa: DSPy's GEPA instead.
    """

    def __init__(self, *, gepa: bool = False) -> None:
        self._gepa = gepa

    def estimate(self, job: SearchJob, rollouts: int | None) -> Estimate:
        """Say what a search will use."""
        validation = len(job.validation or job.search)
        if self._gepa:
            fewest, most = validation + 2 * job.chunk, _gepa_calls(job)
            calls = (1, most // (2 * job.chunk) + 1)
        else:
            fewest, most = validation, (_PROPOSED + 1) * validation + len(job.search)
            calls = (_PROPOSED, 4 * _PROPOSED + 12)
        if rollouts is not None:
            fewest, most = min(fewest, rollouts), min(most, rollouts)
        return Estimate((fewest, most), calls)

    def run(
        self,
        job: SearchJob,
        evaluate: Evaluator,
        reflect: Reflector,
        ledger: Ledger,
        budget: Meter,
        on_event: OnEvent,
    ) -> list[Candidate]:
        """Search until the budget is used up or DSPy is done; see ``Engine.run``.

        Raises:
            ConfigError: The extra is not installed.
            LLMError: The reflecting model failed again and again.
        """
        try:
            import dspy
            import optuna  # noqa: F401 - MIPROv2 finds out too late that it needs it
        except ImportError:
            raise ConfigError(
                "the engine 'dspy' needs an extra: pip install 'pytest-kaizen[dspy]', or use 'insights'"
            ) from None
        runs = _Runs(Workbench(job, evaluate, reflect, ledger, budget, on_event))
        lm = dspy.LM(job.reflector or "reflector", engine=_Door(runs), cache=False, num_retries=0)
        train, validation = ([_example(case) for case in cases] for cases in (job.search, runs.validation))
        program = _program(runs)
        try:
            with _quietly(), contextlib.suppress(_Over), dspy.context(lm=lm, disable_history=True):
                self._compile(job, program, train, validation, lm)
        except Exception as exc:
            # Most errors it swallows; what it does not is an answer that it cannot read.
            what = " ".join(str(exc).split())[:_SHOWN]
            runs.error = runs.error or LLMError(f"DSPy gave up: {type(exc).__name__}: {what}")
        found = runs.candidates()
        if runs.error is not None and not found:
            raise runs.error
        return found

    def _compile(
        self, job: SearchJob, program: Any, train: list[Any], validation: list[Any], lm: Any
    ) -> None:
        import dspy

        if self._gepa:
            dspy.GEPA(
                metric=_feedback,
                max_metric_calls=_gepa_calls(job),
                reflection_minibatch_size=min(job.chunk, len(job.search)),
                reflection_lm=lm,
                num_threads=1,
                use_merge=False,
                seed=job.seed,
            ).compile(program, trainset=train, valset=validation)
            return
        dspy.MIPROv2(
            metric=_score,
            auto=None,
            num_candidates=_PROPOSED,
            max_bootstrapped_demos=0,
            max_labeled_demos=0,
            num_threads=1,
            # DSPy takes 0 for none.
            seed=job.seed + 1,
            track_stats=False,
        ).compile(
            program,
            trainset=train,
            valset=validation,
            num_trials=_TRIALS,
            minibatch=False,
            program_aware_proposer=False,
        )


class _Over(BaseException):
    """Ends a search from within DSPy."""


class _Runs:
    """Runs cases and asks the reflector, for whatever copies DSPy makes of the program."""

    def __init__(self, bench: Workbench) -> None:
        self.error: LLMError | None = None
        self.prompt = bench.job.prompt
        self.validation = bench.job.validation or bench.job.search
        self._bench = bench
        self._cases = {case.id: case for case in (*bench.job.search, *self.validation)}
        self._judging = {case.id for case in self.validation}
        self._scores: dict[str, float] = {}
        self._asked: Counter[str] = Counter()
        self._errors = 0
        self._idle = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> _Runs:
        return self

    def rollout(self, instructions: str, case_id: str) -> Scored:
        """Run a case; with the first that picks among candidates, run all of them at once."""
        job = self._bench.job
        # DSPy takes indentation out of instructions.
        prompt = job.prompt if instructions == inspect.cleandoc(job.prompt) else instructions
        if set(variables_in(prompt)) != set(variables_in(job.prompt)):
            # The tests could not render it.
            return Scored(case_id=case_id, score=0.0, error=None)
        try:
            if case_id in self._judging and prompt not in self._scores:
                self._idle = 0
                score = mean_score(self._bench.run(prompt, self.validation))
                self._scores[prompt] = score if score is not None else 0.0
                self._bench.best = max(self._scores.values())
                self._bench.say(f"{len(self._scores)} candidates")
                if self._bench.best >= 1:
                    raise _Over
            return self._bench.run(prompt, [self._cases[case_id]])[0]
        except BudgetExceeded as exc:
            self._bench.say(f"stopped: {exc}")
            raise _Over from None

    def ask(self, text: str) -> str:
        """Ask the reflector; the same question asked again is another attempt."""
        self._asked[text] += 1
        self._idle += 1
        if self._idle > _IDLE:
            self._bench.say("stopped: no prompt came from the last answers")
            raise _Over
        try:
            answer = self._bench.rewrite(RewriteRequest(text=text, attempt=self._asked[text]))
        except BudgetExceeded as exc:
            self._bench.say(f"stopped: {exc}")
            raise _Over from None
        except LLMError as exc:
            self._errors += 1
            self.error = exc
            self._bench.say(f"reflection failed: {exc}")
            if self._errors >= MAX_ERRORS:
                raise _Over from None
            raise
        self._errors, self.error = 0, None
        return answer.text

    def candidates(self) -> list[Candidate]:
        """Return what beats the active prompt on the validation cases, the best first."""
        floor = self._scores.get(self._bench.job.prompt, 0.0)
        better = [text for text, score in self._scores.items() if score > floor]
        return [Candidate(text) for text in sorted(better, key=lambda text: -self._scores[text])]


class _Door:
    """A model as DSPy's engines are: one request, one response."""

    def __init__(self, runs: _Runs) -> None:
        self._runs = runs

    def complete(self, request: Any) -> Any:
        from dspy.lm15 import Message, Response, TextPart, Usage

        system = request.system
        parts = [] if system is None else [system] if isinstance(system, str) else [p.text for p in system]
        parts += [message.text or "" for message in request.messages]
        text = self._runs.ask("\n\n".join(parts))
        message = Message(role="assistant", parts=(TextPart(text=text or "(no answer)"),))
        return Response(id=None, model=request.model, message=message, finish_reason="stop", usage=Usage())

    def close(self) -> None:
        """Hold nothing."""


def _program(runs: _Runs) -> Any:
    import dspy

    class RunsTheCase(dspy.Predict):  # type: ignore[misc, name-defined, unused-ignore]
        """Runs a case of the suite under its instructions, in the place of asking a model."""

        def forward(self, **inputs: Any) -> Any:
            rollout = runs.rollout(self.signature.instructions, inputs["case"])
            prediction = dspy.Prediction(answer=rollout.output or "", rollout=rollout)
            if dspy.settings.trace is not None:
                dspy.settings.trace.append((self, {"message": inputs["message"]}, prediction))
            return prediction

    class Program(dspy.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            # The prompt's text is data, not a docstring to be guessed from the fields.
            self.step = RunsTheCase(dspy.Signature("message -> answer").with_instructions(runs.prompt))

        def forward(self, message: str, case: str) -> Any:
            return self.step(message=message, case=case)

    return Program()


def _example(case: TaskCase) -> Any:
    import dspy

    return dspy.Example(message=case.input, case=case.id).with_inputs("message", "case")


def _score(example: Any, prediction: Any, trace: Any = None) -> float:  # noqa: ARG001 - DSPy's protocol
    return prediction.rollout.score or 0.0


def _feedback(
    example: Any,
    prediction: Any,
    trace: Any = None,
    pred_name: Any = None,
    pred_trace: Any = None,
) -> Any:
    import dspy

    said = [
        f"{item.criterion} {item.score}: {item.reason or ''} (expected: {item.expected or ''})"
        for item in prediction.rollout.feedback
    ]
    score = _score(example, prediction, (trace, pred_name, pred_trace))
    return dspy.Prediction(score=score, feedback="\n".join(said) or f"score {score}")


def _gepa_calls(job: SearchJob) -> int:
    iterations = job.epochs * math.ceil(len(job.search) / job.chunk)
    validation = len(job.validation or job.search)
    return validation + iterations * (2 * job.chunk + validation)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Let DSPy print and log nothing: it would show prompts and outputs."""
    loggers = [logging.getLogger(name) for name in ("dspy", "optuna")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
