"""The ``kaizen`` fixture: what a test says to, and learns from, the plugin, and the judge it may ask.

With ``kaizen_when_off = run`` there is a fixture without ``--kaizen``, too: prompts are served and a
check that does not hold fails the test at once. Nothing is captured, stored or gated.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..capture import Redactor, SpanHandle
from ..config import Config, load_config
from ..errors import ScoreError
from ..models import Score, ScoreSource, SpanKind, Trace
from ..pipeline import Calibrations, CasePlan, LiveSample, Scoring, StoredAnswers, current_sample
from ..prompts import Prompt, PromptLibrary
from ..store import Store
from . import options
from .start import kaizen_root

if TYPE_CHECKING:
    from ..llm import AnthropicLLM
    from ..prices import Prices
    from ..score import Comparison, Judge, Verdict

_PARTS = pytest.StashKey[tuple[Path, PromptLibrary, Scoring]]()


class Kaizen:
    """One test's view of the plugin; everything said belongs to the sample that says it.

    Args:
        own_sample: Gives the test's sample where none is current (in another fixture's setup).
        library: The prompts.
        scoring: What judges.
        root: The folder that the paths of rubrics start from.
        earlier: Gives the traces of the test's samples that have ended.
    """

    def __init__(
        self,
        own_sample: Callable[[], LiveSample],
        library: PromptLibrary,
        scoring: Scoring,
        root: Path,
        earlier: Callable[[], Sequence[Trace]] = tuple,
    ) -> None:
        self._own_sample = own_sample
        self._earlier = earlier
        self._library = library
        self._scoring = scoring
        self._root = root

    @property
    def _sample(self) -> LiveSample:
        return current_sample() or self._own_sample()

    def prompt(self, task: str) -> Prompt:
        """Return the version of a task's prompt that this run is to use.

        That is the one of ``--kaizen-prompt-version``, else the active one of ``kaizen.lock``, else
        the highest.

        Raises:
            PromptError: There is none, or a locked version was edited; says what to do.
        """
        prompt = self._library.get(task)
        self._sample.prompts[task] = (prompt.version, prompt.sha256)
        return prompt

    @property
    def trace(self) -> Trace:
        """The trace of this sample, with the spans that have ended so far."""
        return self._sample.trace()

    @property
    def traces(self) -> list[Trace]:
        """The traces of this test's samples that have ended so far, then that of this sample."""
        return [*self._earlier(), self.trace]

    def case(self, *, input: Any = None, output: Any = None, reference: Any = None) -> None:  # noqa: A002
        """Say what a rubric is to judge; what is not given is taken from the last LLM call.

        Args:
            input: What the program was given.
            output: What it answered.
            reference: A good answer to compare with.
        """
        content = self._sample.content
        content.input = content.input if input is None else input
        content.output = content.output if output is None else output
        content.reference = content.reference if reference is None else reference

    def check(self, name: str, passed_or_score: bool | float, reason: str | None = None) -> None:
        """Record a check.

        A check that is False makes its sample fail, and so the test, unless a gate on ``pass_rate``,
        on ``score`` or on the check's name says how many may. A number is a score and fails nothing
        by itself.

        Args:
            name: What is checked; a gate may name it.
            passed_or_score: Whether it holds, or how well, in [0, 1].
            reason: Why, for the report.

        Raises:
            ScoreError: A number outside [0, 1], or the body has ended.
        """
        # Comparisons in numpy and pandas give booleans of their own.
        sample = self._open_sample(name)
        is_verdict = isinstance(passed_or_score, bool) or type(passed_or_score).__name__.startswith("bool")
        if is_verdict and not passed_or_score:
            sample.failed_checks.append(name)
        self._keep(name, passed_or_score, reason, ScoreSource.CHECK)

    def score(self, name: str, value: float, reason: str | None = None) -> None:
        """Record a score in [0, 1] that the test worked out itself.

        Raises:
            ScoreError: A value that is no number in [0, 1], or the body has ended.
        """
        self._keep(name, value, reason, ScoreSource.SDK)

    def judge(
        self,
        output: Any,
        *,
        rubric: str | Path,
        input: Any = None,  # noqa: A002
        reference: Any = None,
    ) -> Verdict:
        """Score an output by a rubric now, instead of after the test.

        In an async test use ``ajudge``: this call blocks until the judge has answered.

        Args:
            output: What to judge.
            rubric: The path of a rubric file, from the folder of ``kaizen.yaml``.
            input: What the program was given.
            reference: A good answer.

        Raises:
            RubricError: The rubric is missing or broken.
            ScoreError: The body has ended.
        """
        # Not above: a suite without rubrics need not wait for it.
        from ..score import Verdict, load_rubric

        sample = self._open_sample(str(rubric))
        scores = self._scoring.rubric(sample, load_rubric(self._root / rubric), input, output, reference)
        sample.scores += scores
        return Verdict(scores)

    def compare(
        self,
        a: Any,
        b: Any,
        *,
        rubric: str | Path,
        input: Any = None,  # noqa: A002
        reference: Any = None,
    ) -> Comparison:
        """Ask the judge which of two outputs is better, in both orders; a contradiction is a tie.

        Args:
            a: One output.
            b: The other.
            rubric: The path of a rubric file, from the folder of ``kaizen.yaml``.
            input: What the program was given.
            reference: A good answer.

        Returns:
            ``.winner`` (``a``, ``b`` or ``tie``), and ``.reasons`` of both orders.

        Raises:
            RubricError: The rubric is missing or broken.
            ScoreError: The judge failed.
        """
        from ..score import load_rubric

        return self._scoring.compare(self._sample, load_rubric(self._root / rubric), a, b, input, reference)

    async def ajudge(
        self,
        output: Any,
        *,
        rubric: str | Path,
        input: Any = None,  # noqa: A002
        reference: Any = None,
    ) -> Verdict:
        """Score an output as ``judge`` does, without holding up the event loop."""
        import anyio.to_thread

        call = functools.partial(self.judge, output, rubric=rubric, input=input, reference=reference)
        return await anyio.to_thread.run_sync(call)

    def span(self, name: str, kind: SpanKind | str = SpanKind.TOOL) -> AbstractContextManager[SpanHandle]:
        """Record a step of the program around a block of code; LLM calls in it become its children.

        Args:
            name: What the step is called.
            kind: What it stands for: TOOL, CHAIN, AGENT, RETRIEVER, EMBEDDING.
        """
        return self._sample.recorder.span(name, SpanKind(kind))

    def _open_sample(self, name: str) -> LiveSample:
        """Return the sample, unless its body has ended and its gates may have been decided."""
        sample = self._sample
        if sample.has_ended:
            raise ScoreError(
                f"'{name}' came after the end of the test's body, too late to count; "
                "give it in the body, or in a fixture before its yield"
            )
        return sample

    def _keep(self, name: str, value: float, reason: str | None, source: ScoreSource) -> None:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise ScoreError(f"'{name}': expected a number in [0, 1] (found {value!r})") from None
        if not 0 <= number <= 1:
            raise ScoreError(f"'{name}': a score lies in [0, 1] (found {value!r})")
        self._open_sample(name).scores.append(Score(name=name, value=number, source=source, reason=reason))


class SessionJudge:
    """Makes the session's judge once, at the first call, and then returns it.

    Args:
        config: Which model judges.
        prices: What its calls cost; the configured table by default.
    """

    def __init__(self, config: Config, prices: Prices | None = None) -> None:
        self._config = config
        self._prices = prices
        self._lock = threading.Lock()
        self._llm: AnthropicLLM | None = None
        self._judge: Judge | None = None
        self._cache: StoredAnswers | None = None
        self._calibrations: Calibrations | None = None

    def use(self, store: Store, redactor: Redactor) -> None:
        """Keep answers in a store, unless that is off, and know the calibrations in it.

        To be called before the judge is made.

        Args:
            store: The session's store.
            redactor: Takes secrets out of what is kept.
        """
        self._calibrations = Calibrations(store, self._config.judge)
        if self._config.judge_cache:
            self._cache = StoredAnswers(store, redactor)

    def __call__(self) -> Judge:
        """Return the judge."""
        # Not above: a suite without a judge need not wait for it.
        from ..llm import AnthropicLLM
        from ..prices import load_prices
        from ..score import Judge

        with self._lock:
            if self._judge is None:
                settings = self._config.judge
                prices = self._prices or load_prices(self._config.prices)
                self._llm = AnthropicLLM(prices=prices, timeout_s=settings.timeout_s)
                self._judge = Judge(
                    self._llm,
                    settings.model,
                    settings.max_tokens,
                    votes=settings.votes,
                    cache=self._cache,
                    refusal=self._calibrations.refusal if self._calibrations else None,
                )
            return self._judge

    def close(self) -> None:
        """Close the connections of the judge, if there is one."""
        if self._llm is not None:
            self._llm.close()


class _PlainKaizen(Kaizen):
    def check(self, name: str, passed_or_score: bool | float, reason: str | None = None) -> None:
        super().check(name, passed_or_score, reason)
        if name in self._sample.failed_checks:
            pytest.fail(f"check '{name}' failed" + (f": {reason}" if reason else ""), pytrace=False)


def _parts(config: pytest.Config) -> tuple[Path, PromptLibrary, Scoring]:
    if _PARTS not in config.stash:
        root = kaizen_root(config)
        settings = load_config(root, cli=options.from_command_line(config), ini=options.from_ini(config))
        judge = SessionJudge(settings)
        config.add_cleanup(judge.close)
        config.stash[_PARTS] = (root, PromptLibrary(settings), Scoring(Redactor({}), judge))
    return config.stash[_PARTS]


def fixture_when_off(request: pytest.FixtureRequest) -> Kaizen:
    """Make the fixture's value for a test that runs without ``--kaizen``."""
    root, library, scoring = _parts(request.config)
    item = request.node
    sample = LiveSample(CasePlan(case_id=item.nodeid, name=item.name), run_id=options.OFF_REASON)
    return _PlainKaizen(lambda: sample, library, scoring, root)
