"""Traces that are made outside pytest: where their prompts stand in the program, and where they go.

The place of a prompt says what task a call is for. A trace goes to the local store, or to a Kaizen CT
server.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import sysconfig
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from string import Formatter
from types import FrameType
from typing import Any, NamedTuple, Protocol

from ...errors import CTError
from ...models import Case, Sample, Score, Trace
from ...platforms.kaizen_ct.client import CTClient
from ...store import Store
from ..feedback import entry_of_trace
from ..plan import NO_TASK
from ..tally import sample_metrics

# Shorter texts are found in too many prompts by chance.
_SHORTEST = 12
#: Where code lies that is not the program's own.
_ELSEWHERE = (str(Path(__file__).parents[2]) + os.sep, sysconfig.get_path("stdlib") + os.sep, "<frozen")

_log = logging.getLogger("pytest_kaizen")


class Origin(NamedTuple):
    """The place of a call's prompt.

    Attributes:
        file: The caller's file.
        variable: The variable that holds the prompt; None when none was found.
        function: The function that calls.
    """

    file: str
    variable: str | None
    function: str

    @property
    def task(self) -> str:
        """``prompts_summarize``: the file's name without its ending, and the variable in it."""
        return f"{Path(self.file).stem}_{self.variable or self.function.strip('<>')}"


def find_origin(texts: list[str], task_map: Mapping[str, str]) -> Origin:
    """Find the variable that holds a prompt, in the function that calls and in its file.

    It is the one with the longest text that is part of the prompt; of a template
    (``"Summarize {ticket}"``), all of its fixed text in order. A variable in ``task_map`` comes first.

    Args:
        texts: The prompt's texts.
        task_map: Variables by which the user names tasks.
    """
    frame = _caller()
    best: tuple[bool, int, str] | None = None
    for scope in (frame.f_locals, frame.f_globals):
        for name, value in list(scope.items()):
            length = _match(value, texts)
            rank = (name in task_map, length, name)
            if length >= _SHORTEST and (best is None or rank[:2] > best[:2]):
                best = rank
    return Origin(frame.f_code.co_filename, best[2] if best else None, frame.f_code.co_name)


def _caller() -> FrameType:
    """Return the nearest frame that is none of ours and of no installed package."""
    frame: FrameType | None = sys._getframe(1)
    outermost = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_ELSEWHERE) and "site-packages" not in file:
            return frame
        outermost, frame = frame, frame.f_back
    return outermost


def _match(value: Any, texts: list[str]) -> int:
    """Return how many characters of a value are found in the prompt; 0 unless all are, in order."""
    if not isinstance(value, str) or len(value) < _SHORTEST:
        return 0
    if any(value in text for text in texts):
        return len(value)
    try:
        pieces = [literal for literal, *_ in Formatter().parse(value) if literal]
    except ValueError:
        # Braces of another kind: no template.
        return 0
    return max((_length_in_order(pieces, text) for text in texts), default=0)


def _length_in_order(pieces: list[str], text: str) -> int:
    position = 0
    for piece in pieces:
        position = text.find(piece, position)
        if position < 0:
            return 0
        position += len(piece)
    return sum(map(len, pieces))


class Kept(NamedTuple):
    """A trace that is kept.

    Attributes:
        trace_id: What it is found by, where it is.
        score: Adds a score to it; raises ``KaizenError``.
    """

    trace_id: str
    score: Callable[[Score], None]


class Sink(Protocol):
    """Takes finished traces."""

    def keep(self, trace: Trace, origin: Origin | None) -> Kept:
        """Keep a trace.

        Args:
            trace: Without secrets.
            origin: Where its prompt stands.

        Raises:
            KaizenError: It could not be kept.
        """
        ...


class LocalSink:
    """Keeps traces in the local store, as samples of one run.

    Args:
        store: The store.
        run_id: The run, which is stored already.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._begun: set[str] = set()

    def keep(self, trace: Trace, origin: Origin | None) -> Kept:  # noqa: ARG002 - a server asks for it
        """Store a trace, of a case that stays open: it is no test that comes to an outcome."""
        passed = trace.error is None
        values, missing = sample_metrics(trace, passed)
        sample = Sample(trace=trace, passed=passed, error=trace.error, metrics=values, missing=missing)
        case = Case(id=trace.name, run_id=self._run_id, task=trace.task or NO_TASK, complete=False)
        self._store.add_sample(case, sample, begins=case.id not in self._begun)
        self._begun.add(case.id)
        for score in trace.scores:
            self._as_feedback(trace, score)
        return Kept(trace.id, partial(self._score, trace))

    def _score(self, trace: Trace, score: Score) -> None:
        self._store.add_score(trace.id, score)
        self._as_feedback(trace, score)

    def _as_feedback(self, trace: Trace, score: Score) -> None:
        """Keep a score as feedback where the task says that its traces' scores are that."""
        task = None if trace.task is None else self._store.tasks.find(trace.task)
        if task is not None and task.feedback_source == "traces" and score.value is not None:
            self._store.feedback.add(task, entry_of_trace(trace, score, task))


class CTSink:
    """Sends traces to a Kaizen CT server; those that it does not take go elsewhere.

    Args:
        client: Speaks to the server.
        otherwise: Gives what takes the traces that cannot be sent.
    """

    def __init__(self, client: CTClient, otherwise: Callable[[], Sink]) -> None:
        self._client = client
        self._otherwise = otherwise

    def keep(self, trace: Trace, origin: Origin | None) -> Kept:
        """Send a trace and its scores."""
        spans = trace.llm_spans
        usages = [usage for span in spans for usage in (span.usage.input_tokens, span.usage.output_tokens)]
        tokens = [count for count in usages if count is not None]
        latencies = [span.latency_ms for span in spans if span.latency_ms is not None]
        try:
            stored = self._client.log_trace(
                task_id=trace.task or trace.name,
                prompt_text=_text(trace.input),
                response_text=_text(trace.output),
                model=next((span.model for span in spans if span.model), None),
                tokens=sum(tokens) if tokens else None,
                latency_ms=math.fsum(latencies) if latencies else None,
                source_file=origin.file if origin else None,
                source_variable=origin.variable if origin else None,
                metadata={"kaizen_id": trace.id, **({"error": trace.error} if trace.error else {})},
            )
        except CTError as exc:
            kept = self._otherwise().keep(trace, origin)
            _log.warning("a trace stays in the local store: %s", exc)
            return kept
        kept = Kept(str(stored.id), partial(self._score, str(stored.id)))
        for score in trace.scores:
            kept.score(score)
        return kept

    def _score(self, trace_id: str, score: Score) -> None:
        if score.value is not None:
            self._client.score(trace_id, score.value)


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
