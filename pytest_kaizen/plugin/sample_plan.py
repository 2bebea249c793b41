"""How often a test's body is to run, and how: from its marker, the configuration and the test itself."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from ..config import DEFAULT_ASYNC_CONCURRENCY, DEFAULT_MAX_SAMPLES, Config
from ..models import GateSpec

#: Fixtures that change or capture something of the whole process, so that threads would mix it up.
_ONE_AT_A_TIME = ("monkeypatch", "capsys", "capsysbinary", "capfd", "capfdbinary", "caplog", "recwarn")


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
