"""The samples of one case: how many there are to be, begun, ended, and which one stands for the case."""

from __future__ import annotations

import inspect
import threading
import unittest
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from ..config import DEFAULT_ASYNC_CONCURRENCY, DEFAULT_MAX_SAMPLES, Config
from ..errors import ReplayError
from ..models import Case, GateResult, GateSpec, Sample
from ..pipeline import LiveSample, Sampling, current

#: Fixtures that change or capture something of the whole process, so that threads would mix it up.
_ONE_AT_A_TIME = ("monkeypatch", "capsys", "capsysbinary", "capfd", "capfdbinary", "caplog", "recwarn")

#: What ends a body without saying anything about the prompt.
SKIPS = (pytest.skip.Exception, unittest.SkipTest)
#: What ends the whole session.
INTERRUPTS = (KeyboardInterrupt, GeneratorExit, pytest.exit.Exception)
#: What makes a sample a failed one; interrupts and cancellation go through. To pytest, a body that
#: calls ``sys.exit`` is a failed test like any other.
_FAILURES = (Exception, SystemExit, pytest.fail.Exception, ReplayError)
#: How pytest-timeout says that an item's time is up; its limit is for all samples together.
_TIMEOUT = "from pytest-timeout"


class SamplePlan(NamedTuple):
    """The part of a ``CasePlan`` about its samples; the fields are as there."""

    samples: int
    max_samples: int
    most: int
    concurrency: int
    isolate: bool


def sample_plan(
    item: pytest.Item, config: Config, gates: Sequence[GateSpec], wishes: Mapping[str, Any]
) -> SamplePlan:
    """Work out how often a test's body runs.

    Args:
        item: The test.
        config: Says what holds where the marker is silent.
        gates: The test's gates; those with a confidence may need more samples.
        wishes: The arguments of its marker ``kaizen``, empty without one.

    Raises:
        ValueError: The marker asks for what cannot be; says why.
    """
    counts = {name: _count(name, wishes.get(name)) for name in ("samples", "max_samples", "concurrency")}
    isolate = wishes.get("isolate", False)
    if isolate is not True and isolate is not False:
        raise ValueError(f"isolate must be True or False (found {isolate!r})")
    samples = counts["samples"] or config.samples
    limit = counts["max_samples"]
    if limit is not None and counts["samples"] is not None and limit < samples:
        raise ValueError(f"max_samples={limit} is less than samples={samples}")
    limit = limit or config.max_samples
    sequential = any(gate.confidence is not None for gate in gates)
    max_samples = max(samples, limit or DEFAULT_MAX_SAMPLES) if sequential else samples
    # A round over all cases of a task costs as much as the first: only up to a number that was given.
    most = max(max_samples, limit or 1)
    if obstacle := _obstacle(item):
        most = 1
    if obstacle and max_samples > 1:
        more = f"{samples} samples" if samples > 1 else "a gate with confidence, which draws more samples"
        raise ValueError(f"{more}: {obstacle}; give it samples=1 and no confidence")
    concurrency = _concurrency(item, config, counts["concurrency"], isolate)
    return SamplePlan(samples, max_samples, most, concurrency, isolate)


def _concurrency(item: pytest.Item, config: Config, wished: int | None, isolate: bool) -> int:
    """Return how many samples may be under way at once.

    What the marker asks for and cannot have is an error; what the configuration asks for holds
    where it can.
    """
    if isolate:
        if wished is not None and wished > 1:
            raise ValueError(f"concurrency={wished}: isolated samples run one after another")
        return 1
    if inspect.iscoroutinefunction(getattr(item, "function", None)):
        return wished or config.concurrency or DEFAULT_ASYNC_CONCURRENCY
    shared = [name for name in _ONE_AT_A_TIME if name in getattr(item, "fixturenames", ())]
    if wished is not None and wished > 1 and shared:
        raise ValueError(
            f"concurrency={wished}: the samples of a plain test would run in threads, and {shared[0]}, "
            "which it uses, is for one at a time; drop one of the two, or make the test async"
        )
    return 1 if shared else wished or config.concurrency or 1


def _obstacle(item: pytest.Item) -> str | None:
    """Say why a test's body can run only once; None when it can run again."""
    if not isinstance(item, pytest.Function):
        return f"a {type(item).__name__} has no body that could run again"
    return None


def _count(name: str, value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError(f"{name} must be a whole number, 1 or more (found {value!r})")


class CaseRun:
    """One attempt at a case: its samples are begun and ended here, by one thread or several.

    Args:
        sampling: Says whether another sample is needed.
        run_id: The run it belongs to.
        make: Makes a sample by its number.
        record: Scores and stores a sample whose body has ended with this exception, or without.
        case: The case, where this is no attempt of its own but one more sample of an earlier one.

    Attributes:
        case: What is known of the case.
        upcoming: The sample that calls in the test's fixtures belong to.
        goes_on: Its one sample belongs to an attempt that has come to its outcome.
        is_case: It is to be stored: the test asked for something, or called a model.
        is_running: pytest is in the midst of the body.
        is_over: The body has run as often as it is going to.
        is_unrun: It ended before its body began.
        ended: The samples whose bodies have ended, in the order in which they did.
        failures: The gates because of which the test fails.
        skipped: The skip that ended the case.
        broken: What went wrong with a sample other than its body.
        unstored: The case's only sample, from the end of its body until the case has its outcome.
        spoilt: Exceptions that bodies went on after, as with subtests, by the samples' numbers.
    """

    def __init__(
        self,
        sampling: Sampling,
        run_id: str,
        make: Callable[[int], LiveSample],
        record: Callable[[CaseRun, LiveSample, BaseException | None], Sample | None],
        case: Case | None = None,
    ) -> None:
        self.sampling = sampling
        self.plan = sampling.plan
        self.goes_on = case is not None
        self.case = case or Case(id=self.plan.case_id, run_id=run_id, task=self.plan.task, complete=False)
        self._begun = self.plan.samples - 1 if self.goes_on else 0
        self.upcoming = make(self._begun)
        self.is_case = self.plan.asked
        self.is_running = False
        self.is_over = False
        self.is_unrun = False
        self.ended: list[LiveSample] = []
        self.failures: list[GateResult] = []
        self.skipped: BaseException | None = None
        self.broken: Exception | None = None
        self.unstored: Sample | None = None
        self._make = make
        self._record = record
        self._lock = threading.Lock()
        self._stopped = False
        self._running: dict[int, LiveSample] = {}
        self._errors: dict[int, BaseException] = {}
        self.spoilt: dict[int, BaseException] = {}
        self._samples: dict[int, Sample] = {}

    @property
    def samples(self) -> list[Sample]:
        """The finished samples, in the order of their numbers."""
        return [self._samples[number] for number in sorted(self._samples)]

    @property
    def has_one_sample(self) -> bool:
        """Whether this attempt at the case ends with its first sample."""
        return not self.goes_on and self.plan.max_samples == 1

    @property
    def error(self) -> BaseException | None:
        """What the test ends with: a skip, or the exception of the sample with the lowest score."""
        if self.skipped is not None:
            return self.skipped
        if self.broken is not None or not self._errors:
            return self.broken
        return self._errors[self._worst]

    @property
    def is_whole(self) -> bool:
        """Whether the case has at least the samples that it was to have, and nothing skipped it."""
        return self.skipped is None and len(self._samples) >= max(self.plan.samples, 1)

    @property
    def worst_of(self) -> str | None:
        """Say which of several samples the failure is of; None when there is only one, or none raised."""
        if self.broken is not None or not self._errors or len(self._samples) < 2:
            return None
        raised = f"{len(self._errors)} of {len(self._samples)} samples raised an exception"
        return f"{raised}; the one shown is of sample {self._worst + 1}"

    @property
    def _worst(self) -> int:
        def rank(number: int) -> tuple[bool, float]:
            sample = self._samples.get(number)
            # One that is expected to fail must not hide one that is not.
            expected = isinstance(self._errors[number], pytest.xfail.Exception)
            return expected, sample.metrics.get("score", 0.0) if sample else 0.0

        return min(sorted(self._errors), key=rank)

    @property
    def has_begun(self) -> bool:
        """Whether the upcoming sample has begun."""
        return self._begun > self.upcoming.number

    def begin(self) -> LiveSample | None:
        """Begin the next sample; None when no more are needed."""
        with self._lock:
            if self._stopped or not self.sampling.wants(self._begun):
                return None
            number = self._begun
            self._begun += 1
            live = self.upcoming if self.upcoming.number == number else self._make(number)
            self._running[number] = live
            return live

    def prepare(self) -> LiveSample | None:
        """Make the next sample before it begins, so that the calls of its own fixtures belong to it.

        None when no more are needed.
        """
        with self._lock:
            if self._stopped or not self.sampling.wants(self._begun):
                return None
            self.upcoming = self._make(self._begun)
            return self.upcoming

    @contextmanager
    def running(self, live: LiveSample) -> Iterator[None]:
        """Run a body as a sample; an exception of it is held back, until all samples have ended."""
        try:
            with current(live):
                yield
        except SKIPS as exc:
            self.skipped = exc
            self._stopped = True
        except INTERRUPTS:
            self._stopped = True
            raise
        except _FAILURES as exc:
            if _TIMEOUT in message_of(exc):
                self._stopped = True
                raise
            self._errors[live.number] = exc
        except BaseException:
            self._stopped = True
            raise

    def end(self, live: LiveSample, error: BaseException | None = None) -> None:
        """Score and store a sample whose body has ended; a second time does nothing."""
        with self._lock:
            if self._running.pop(live.number, None) is None:
                return
            live.has_ended = True
        found = (error, self.skipped, self._errors.get(live.number), self.spoilt.get(live.number))
        sample = self._record(self, live, next((exc for exc in found if exc is not None), None))
        with self._lock:
            self.ended.append(live)
            if sample is not None:
                self._samples[live.number] = sample
        if sample is not None:
            self.sampling.add(live.number, sample)

    def fail(self, error: Exception) -> None:
        """Let the case fail by something else than a body, which no gate allows for."""
        self.broken = self.broken or error

    def spoil(self, live: LiveSample, error: BaseException) -> None:
        """Count a sample as failed by an exception that its body went on after."""
        self.spoilt.setdefault(live.number, error)

    def end_all(self, error: BaseException | None) -> None:
        """Begin no more samples, and end those that an exception from outside their bodies broke off."""
        if not self.has_begun:
            # pytest never came to the body, or runs it by other means than its function.
            self.is_unrun = True
            self.begin()
        with self._lock:
            self._stopped = True
            running = list(self._running.values())
        for live in running:
            self.end(live, error)

    def settle(self) -> None:
        """Raise what the test ends with, if anything.

        Raises:
            BaseException: A skip, or the exception of the worst sample.
        """
        if self.error is not None:
            raise self.error


def message_of(error: BaseException) -> str:
    """Return an exception's message; one whose ``str`` breaks has none."""
    try:
        return str(error)
    except Exception:
        return ""
