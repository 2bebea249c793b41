"""Stored traces → pending insights, which wait for a person to accept or reject them.

Traces that an optimisation proves its prompts on are kept back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, NamedTuple

from ..config import Config
from ..errors import BudgetExceeded, LLMError, UsageError
from ..llm import LLM
from ..models import Insight, Job, Trace, Usage
from ..models.proposal import DEFAULT_BUDGET_USD
from ..optimize import Budget, CappedLLM, LLMReflector, Meter, ReflectionRequest
from ..optimize.llm_reflector import READING_ROUNDS
from ..optimize.search import Lesson, input_text, is_held_out
from ..optimize.skillbook import Skillbook
from ..optimize.workbench import MAX_ERRORS, Questions
from ..prices import load_prices
from ..prompts import PromptLibrary
from ..report.text import plain
from ..store import Store
from . import jobs
from .measures import case_input
from .plan import NO_TASK
from .studied import StoredPieces, chunks, pieces_of, shown

#: Where traces and their insights belong that name no task.
DEFAULT_TASK = "default"
Mode = Literal["standard", "recursive"]
#: For the least and the most that a study costs: characters of a token, tokens of an answer; and the
#: characters that every call has besides the traces.
_TOKEN, _ANSWER, _BESIDES = (5, 3), (300, 2500), 2500


def is_kept_back(trace: Trace, config: Config) -> bool:
    """Return whether a trace's input is held out, as a case of a suite or as logged feedback has it.

    A file that somebody put in is no case, and what is of no task is of no optimisation.

    Args:
        trace: The trace.
        config: Says how the cases of its task are split.
    """
    if trace.task is None or trace.file is not None:
        return False
    forms = {case_input(trace)} | ({input_text(trace.input)} if trace.input is not None else set())
    shares = config.task(trace.task).optimize.shares
    return any(is_held_out(form, search=shares.search, validation=shares.validation) for form in forms)


@dataclass(frozen=True)
class Study:
    """What insights are drawn from, and at what cost at most; all that another process has to know.

    Attributes:
        traces: The ids of the traces, by task.
        model: The model that reflects.
        epochs: Passes over the traces; later ones are told what was found before.
        mode: How long traces are shown: ``standard`` in one call, ``recursive`` piece by piece.
        budget_usd: The cap.
        own_key: Whether whoever asked gave a key for the model; see ``jobs.create``.
    """

    traces: Mapping[str, Sequence[str]]
    model: str
    epochs: int = 1
    mode: Mode = "recursive"
    budget_usd: float = DEFAULT_BUDGET_USD
    own_key: bool = False

    @property
    def task(self) -> str:
        """The task of all traces; ``default`` where they are of several."""
        return next(iter(self.traces)) if len(self.traces) == 1 else DEFAULT_TASK

    @property
    def count(self) -> int:
        """The number of traces."""
        return sum(map(len, self.traces.values()))

    @property
    def settings(self) -> dict[str, Any]:
        """The same as JSON; ``Study(**settings)`` is the study."""
        return asdict(self)


class Chosen(NamedTuple):
    """The traces that may be studied.

    Attributes:
        traces: Their ids, by task.
        held_out: How many more were meant, and are kept for proving what an optimisation finds.
    """

    traces: dict[str, list[str]]
    held_out: int


class StudyEstimate(NamedTuple):
    """What a study takes, from the least to the most; ``usd`` is None without a known price."""

    calls: tuple[int, int]
    usd: tuple[float, float] | None


def choose(config: Config, store: Store, ids: Sequence[str] | None = None, task: str | None = None) -> Chosen:
    """Find the traces that are meant, without those that no reflection may read.

    Insights become part of prompts, and an optimisation starts from them. What it proves a prompt on
    must not be what the prompt was made from: a trace whose input is held out there is left out here.

    Args:
        config: Says how the cases of each task are split.
        store: Has them.
        ids: Theirs, or unambiguous beginnings; None for all.
        task: Of this task only.

    Raises:
        UsageError: None is left.
        StoreError: There is no such trace.
    """
    kept: dict[str, dict[str, None]] = {}
    held_out: set[str] = set()
    for trace in store.shelf.each(task) if ids is None else map(store.trace, ids):
        if task is not None and trace.task != task:
            raise UsageError(f"trace {trace.id} is not of the task '{task}'")
        if is_kept_back(trace, config):
            held_out.add(trace.id)
        else:
            kept.setdefault(_task_of(trace), {})[trace.id] = None
    if not kept:
        there = f": all {len(held_out)} are held out to prove what an optimisation finds" if held_out else ""
        raise UsageError(f"no traces to draw insights from{there}; run `pytest --kaizen`, or upload some")
    return Chosen({name: list(found) for name, found in kept.items()}, len(held_out))


def estimate_study(config: Config, store: Store, study: Study) -> StudyEstimate:
    """Say what a study will take, from the lengths of the traces."""
    prices = load_prices(config.prices)
    calls, costs = [0, 0], [0.0, 0.0]
    for _, chunk in _chunks(store, study):
        recursive = study.mode == "recursive"
        items = [shown(trace, recursive=recursive) for trace in chunk]
        size = sum(len(item.input) + len(item.output or "") for item in items)
        read = sum(len(piece) for trace in chunk for piece in pieces_of(trace).values()) if recursive else 0
        # At the most, every piece is asked for and a judge merges what came of it.
        for end, more in ((0, 0), (1, 1 + (READING_ROUNDS if read else 0))):
            calls[end] += study.epochs * (1 + more)
            tokens = (size + read * end + _BESIDES) // _TOKEN[end]
            cost = prices.cost(study.model, Usage(input_tokens=tokens, output_tokens=_ANSWER[end]))
            costs[end] += math.inf if cost is None else study.epochs * (1 + more) * cost
    usd = None if math.inf in costs else (costs[0], costs[1])
    return StudyEstimate((calls[0], calls[1]), usd)


def draw_insights(
    config: Config,
    store: Store,
    job: Job,
    llm: LLM,
    on_step: Callable[[Job], None],
    prompt_of: Callable[[str], str] | None = None,
) -> None:
    """Do a claimed job: study its traces and store what they teach as pending insights.

    A job that was broken off is gone on with by calling this again: answers that were paid for come from
    the store. Insights are stored at its end; what people decided meanwhile about known ones stays.

    Args:
        config: The tasks' prompts, and prices.
        store: Has the traces, and keeps every answer.
        job: As ``jobs.start`` or ``jobs.claim`` returned it; its result says what came of it.
        llm: The door to the model.
        on_step: Is told about progress.
        prompt_of: Gives the text of the prompt that a task runs, empty without one; by default that of
            the project's files.

    Raises:
        JobError: It was stopped, or another process has it.
        LLMError: The model failed again and again, or the budget does not cover the first call.
        StoreError: The store cannot be written.
    """
    study = Study(**job.settings)
    meter = Meter(Budget(usd=study.budget_usd))

    def say(step: str) -> None:
        jobs.progress(store, job, step, meter.used)
        on_step(job)

    with jobs.running(store, job):
        job.spend = meter.used
        work = _Work(
            config, store, study, meter, llm, say, prompt_of or partial(_prompt_in, PromptLibrary(config))
        )
        found = work.run()
        known = {insight.id: insight for insight in store.insights()}
        store.save_insights(_as_triaged(insight, known.get(insight.id)) for insight in found)
        new = sum(insight.id not in known for insight in found)
        job.result = {
            "skillsGenerated": new,
            "summary": work.summary(new),
            "materialized": False,
            "insights": [insight.id for insight in found],
        }


class _Work:
    """One study under way."""

    def __init__(
        self,
        config: Config,
        store: Store,
        study: Study,
        meter: Meter,
        llm: LLM,
        say: Callable[[str], None],
        prompt_of: Callable[[str], str],
    ) -> None:
        self._store = store
        self._study = study
        self._meter = meter
        self._say = say
        self._prompt_of = prompt_of
        capped = CappedLLM(llm, meter, load_prices(config.prices))
        self._reflector = LLMReflector(capped, study.model, StoredPieces(store))
        self._questions: dict[str, Questions] = {}
        self._books: dict[str, Skillbook] = {}
        self._noted: dict[str, tuple[str, ...]] = {}
        #: What was found: the ids of insights, with those that each contradicts.
        self._found: dict[str, dict[str, None]] = {}
        self._answered = 0
        self._unanswered: list[str] = []
        self._ended = ""

    def run(self) -> list[Insight]:
        """Study all there is, as far as the budget goes; return what was found."""
        for task in self._study.traces:
            self._questions[task] = Questions(
                task, self._study.model, self._reflector, self._store, self._meter
            )
            self._books[task] = Skillbook(self._questions[task], self._store.insights(task))
        try:
            for epoch in range(self._study.epochs):
                for task, chunk in _chunks(self._store, self._study):
                    self._learn(task, chunk, epoch)
                self._noted = {task: book.noted for task, book in self._books.items()}
        except BudgetExceeded as exc:
            if not self._answered:
                raise
            self._ended = f"; ended early: {exc}"
        return [
            book[insight].model_copy(update={"contradicts": tuple(against)})
            for insight, against in self._found.items()
            for book in self._books.values()
            if insight in book
        ]

    def summary(self, new: int) -> str:
        """Say what came of it, in one sentence."""
        used, missed = self._meter.used, len(self._unanswered)
        failed = f"; {_many(missed, 'chunk')} without an answer: {self._unanswered[-1]}" if missed else ""
        return (
            f"{_many(new, 'new insight')} from {_many(self._study.count, 'trace')} in "
            f"{_many(used.calls, 'call')}, ${used.usd:.4f}{failed}{self._ended}"
        )

    def _learn(self, task: str, chunk: list[Trace], epoch: int) -> None:
        """Ask for lessons; a failure now and then costs its chunk, not the study."""
        number = self._answered + len(self._unanswered) + 1
        self._say(f"pass {epoch + 1}, chunk {number}: {_many(len(self._found), 'insight')}")
        book = self._books[task]
        request = ReflectionRequest(
            task=task,
            prompt=self._prompt_of(task),
            failures=tuple(shown(trace, recursive=self._study.mode == "recursive") for trace in chunk),
            rejected=book.rejected,
            noted=self._noted.get(task, ()),
            mode=self._study.mode,
            attempt=epoch,
            of="traces",
        )
        try:
            lessons = self._questions[task].reflect(request).lessons
            insights, clashes = book.merge([_harmless(lesson) for lesson in lessons], request.failures)
        except BudgetExceeded:
            raise
        except LLMError as exc:
            self._unanswered.append(str(exc))
            # Without a key, or with a wrong one, no chunk will do better.
            if not self._answered or len(self._unanswered) > MAX_ERRORS:
                raise
            return
        self._answered += 1
        for insight in insights:
            others = (book.find(text) for text in clashes.get(insight.id, ()))
            against = self._found.setdefault(insight.id, dict.fromkeys(insight.contradicts))
            against |= dict.fromkeys(other.id for other in others if other is not None)


def _prompt_in(library: PromptLibrary, task: str) -> str:
    return library.get(task).text if task in library.tasks() else ""


def _chunks(store: Store, study: Study) -> Iterator[tuple[str, list[Trace]]]:
    for task, ids in study.traces.items():
        for chunk in chunks(map(store.trace, ids)):
            yield task, chunk


def _task_of(trace: Trace) -> str:
    return DEFAULT_TASK if trace.task is None or trace.task == NO_TASK else trace.task


def _harmless(lesson: Lesson) -> Lesson:
    """Take terminal escapes out of a lesson: it becomes part of prompts, and people read it."""
    texts = {name: value for name, value in lesson if isinstance(value, str)}
    return lesson.model_copy(update={name: plain(text) for name, text in texts.items()})


def _as_triaged(insight: Insight, stored: Insight | None) -> Insight:
    """Keep what a person has decided about an insight while the job ran."""
    if stored is None:
        return insight.model_copy(update={"created_at": datetime.now(UTC)})
    return insight.model_copy(update={"status": stored.status, "note": stored.note})


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
