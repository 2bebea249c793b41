"""Hooks that a ``conftest.py`` or another plugin may implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..models import GateResult, Score, Trace, Usage


@pytest.hookspec
def pytest_kaizen_scorers() -> Iterable[Callable[[Trace], Score | Iterable[Score] | None]]:  # type: ignore[empty-body]
    """Return scorers that every case of the session is scored by.

    A scorer is called with the trace of each sample once it is scored otherwise. Its scores count
    like those of ``kaizen.score``; a scorer that raises is an error under its name, never a 0::

        def no_apology(trace):
            return Score(name="no apology", value=float("sorry" not in trace.output), source="sdk")

        def pytest_kaizen_scorers():
            return [no_apology]
    """


@pytest.hookspec
def pytest_kaizen_trace(trace: Trace) -> None:
    """Be told of every finished trace, scored and without secrets, before it is stored.

    For example::

    def pytest_kaizen_trace(trace):
        trace.metadata["team"] = "support"
    """


@pytest.hookspec
def pytest_kaizen_gate(result: GateResult) -> None:
    """Be told of every gate on a case or a task when it has come to its result.

    For example::

    def pytest_kaizen_gate(result):
        print(result.sentence)
    """


@pytest.hookspec(firstresult=True)
def pytest_kaizen_price(model: str, usage: Usage) -> float | None:
    """Return what a call cost in US dollars; None leaves it to the price table.

    For example::

    def pytest_kaizen_price(model, usage):
        if model == "our-llama":
            return 2e-7 * (usage.output_tokens or 0)
    """
