"""What the models hold comes back equal."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_kaizen.models import (
    Attempt,
    Case,
    GateResult,
    Interval,
    Message,
    Outcome,
    Part,
    PromptVersion,
    Run,
    Sample,
    Scope,
    Score,
    ScoreSource,
    Span,
    SpanKind,
    TaskSummary,
    Trace,
    Usage,
)
from pytest_kaizen.store import Store

# psycopg's pool draws how long a connection is to live from the global generator, in a thread of its own;
# Hypothesis would take that for a draw of the strategy under way.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning"
)

# But NUL, which PostgreSQL's texts cannot hold.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
maybe_text = st.none() | text
whole = st.integers(0, 2**53)
number = st.floats(allow_nan=False, allow_infinity=False)
any_number = st.floats(allow_nan=False)
share = st.floats(0, 1)
zones = [None, UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))]
moment = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.sampled_from(zones))
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | any_number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
json_object = st.dictionaries(text, json_value, max_size=3)
interval = st.none() | st.builds(Interval, any_number, any_number)
ids = itertools.count()


def few(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, max_size=2)


scores = st.builds(
    Score,
    name=text,
    value=share,
    source=st.sampled_from(ScoreSource),
    reason=maybe_text,
    expected=maybe_text,
    rubric=maybe_text,
    weight=st.none() | number,
    votes=st.none() | few(share),
) | st.builds(Score, name=text, error=text, source=st.sampled_from(ScoreSource))
parts = st.builds(Part, type=st.just("text"), content=text) | st.builds(
    Part,
    type=st.just("tool_call"),
    id=text,
    name=text,
    arguments=st.dictionaries(text, st.none() | text | number, max_size=2),
)
messages = st.builds(Message, role=text, parts=few(parts), finish_reason=maybe_text)
spans = st.builds(
    Span,
    id=text,
    parent_id=maybe_text,
    name=text,
    kind=st.sampled_from(SpanKind),
    provider=maybe_text,
    model=maybe_text,
    input=few(messages),
    output=few(messages),
    usage=st.builds(Usage, input_tokens=st.none() | whole, cache_read_tokens=st.none() | whole),
    cost_usd=st.none() | number,
    started_at=moment,
    latency_ms=st.none() | any_number,
    attempts=few(st.builds(Attempt, started_at=moment, latency_ms=number, status=st.none() | whole)),
    replayed=st.booleans(),
    error=maybe_text,
    metadata=json_object,
)
traces = st.builds(
    Trace,
    id=st.builds(lambda tail: f"{next(ids)}-{tail}", text),
    run_id=maybe_text,
    task=maybe_text,
    case_id=maybe_text,
    sample=whole,
    name=text,
    created_at=moment,
    input=json_value,
    output=json_value,
    reference=json_value,
    error=maybe_text,
    metadata=json_object,
    scores=few(scores),
    spans=few(spans),
)
samples = st.builds(
    Sample,
    trace=traces,
    passed=st.none() | st.booleans(),
    error=maybe_text,
    metrics=st.dictionaries(text, any_number, max_size=3),
    missing=st.dictionaries(text, text, max_size=2),
    prompts=st.dictionaries(text, st.tuples(whole, text), max_size=2),
)
gates = st.builds(
    GateResult,
    scope=st.sampled_from(Scope),
    task=text,
    case_id=maybe_text,
    name=text,
    figure=st.none() | any_number,
    bar=text,
    interval=interval,
    samples=whole,
    missing=whole,
    outcome=st.sampled_from(Outcome),
    sentence=text,
    origin=text,
)
summaries = st.builds(
    TaskSummary,
    task=text,
    cases=whole,
    collected=whole,
    samples=whole,
    score=st.none() | number,
    score_interval=interval,
    pass_rate=st.none() | share,
    prompts=text,
    calls=whole,
    cost_usd=st.none() | number,
    unpriced=whole,
    latency_p95_ms=st.none() | any_number,
    gates=few(gates),
)
runs = st.builds(
    Run,
    id=st.builds(lambda tail: f"{next(ids)}-{tail}", text),
    created_at=moment,
    finished_at=st.none() | moment,
    status=text,
    exit_status=st.none() | whole,
    revision=maybe_text,
    branch=maybe_text,
    config=json_object,
    tasks=few(summaries),
    notes=few(text),
)
prompts = st.builds(
    PromptVersion,
    task=st.builds(lambda tail: f"{next(ids)}-{tail}", text),
    version=whole,
    sha256=text,
    text=text,
    source=st.sampled_from(["file", "optimizer", "insights", "platform"]),
    parent=st.none() | whole,
    eval_score=st.none() | share,
    created_at=st.none() | moment,
    model=maybe_text,
    variables=st.none() | st.tuples() | st.tuples(text, text),
    note=maybe_text,
)
# One store for all examples: opening one costs more than an example.
on_one_store = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(run=runs)
@on_one_store
def test_runs(store: Store, run: Run) -> None:
    store.start_run(run)
    assert store.run(run.id) == run


@given(sample=samples, case_gates=few(gates), outcome=text, case_id=text)
@on_one_store
def test_cases(
    store: Store, sample: Sample, case_gates: list[GateResult], outcome: str, case_id: str
) -> None:
    run = Run(id=f"run {next(ids)}", created_at=datetime.now(UTC))
    store.start_run(run)
    case = Case(id=case_id, run_id=run.id, task="sum", outcome=outcome, samples=[sample], gates=case_gates)
    store.finish_case(case, begins=True)
    store.add_sample(case, sample)
    store.finish_case(case)
    assert store.cases(run.id) == [case]
    assert store.trace(sample.trace.id) == sample.trace


@given(version=prompts)
@on_one_store
def test_prompts(store: Store, version: PromptVersion) -> None:
    store.save_prompts([version])
    assert store.prompts(version.task) == [version]


def kept(store: Store, make: Any, started: Callable[..., Case], **fields: Any) -> Trace:
    case, sample = started(), make.sample(**fields)
    store.add_sample(case, sample)
    return store.trace(sample.trace.id)


def test_an_endless_latency_can_be_read(store: Store, make: Any, started: Callable[..., Case]) -> None:
    attempt = Attempt(started_at=datetime(2026, 1, 1, tzinfo=UTC), latency_ms=math.inf)
    endless = make.trace().spans[0].model_copy(update={"latency_ms": math.inf, "attempts": [attempt]})
    (span,) = kept(store, make, started, spans=[endless]).spans
    assert span.latency_ms == math.inf
    assert [attempt.latency_ms for attempt in span.attempts] == [None]


def test_not_a_number(store: Store, make: Any, started: Callable[..., Case]) -> None:
    trace = kept(store, make, started, input={"age": math.nan, "height": math.inf})
    assert math.isnan(trace.input["age"])
    assert trace.input["height"] == math.inf


def test_half_a_surrogate_pair_becomes_the_replacement_character(
    store: Store, make: Any, started: Callable[..., Case]
) -> None:
    trace = kept(
        store, make, started, input="cut \ud83d", name="name \ude00", metadata={"\ud83d": "\ud83d\ude00"}
    )
    assert (trace.input, trace.name, trace.metadata) == ("cut \ufffd", "name \ufffd", {"\ufffd": "😀"})


def test_a_nul_character(home: str, store: Store, make: Any, started: Callable[..., Case]) -> None:
    trace = kept(store, make, started, name="a\0b", input="a\0b")
    assert trace.name == ("a\0b" if home == "sqlite" else "a\ufffdb")
    assert trace.input == "a\0b"


def test_values_that_json_does_not_know(store: Store, make: Any, started: Callable[..., Case]) -> None:
    class Ticket:
        def __repr__(self) -> str:
            return "a secret"

    cycle: list[Any] = ["first"]
    cycle.append(cycle)
    trace = kept(
        store,
        make,
        started,
        input=(1, {2}, Ticket()),
        output=b"\xff\x00",
        reference=cycle,
        metadata={"when": datetime(2026, 1, 1, tzinfo=UTC), "usage": Usage(input_tokens=1)},
    )
    module = f"{__name__}.test_values_that_json_does_not_know.<locals>.Ticket"
    assert trace.input == [1, [2], f"<{module}>"]
    assert trace.output == "<2 bytes>"
    assert trace.reference == ["first", "<nested too deep>"]
    assert trace.metadata["when"] == "2026-01-01T00:00:00Z"
    assert trace.metadata["usage"]["input_tokens"] == 1


def test_arguments_nested_as_deep_as_a_model_likes(
    store: Store, make: Any, started: Callable[..., Case]
) -> None:
    deep: Any = "bottom"
    for _ in range(230):
        deep = [deep]
    assert kept(store, make, started, input=deep).input == deep
    for _ in range(1000):
        deep = [deep]
    trace = kept(store, make, lambda: make.case(), input=deep)
    assert "nested too deep" in str(trace.input)
