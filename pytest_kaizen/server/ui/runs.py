"""Runs, their tasks, cases and traces, and the search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field

from ...models import Case, Run, TaskSummary, Trace
from ...report.html import criteria_of, history_data, limit
from ..operation import Access, Call
from ..problem import Refusal
from . import shown
from .page import ROOT, Page, View

_PAGE = 50
_MOST_RUNS = 1000
#: Trends that are drawn on one page.
_MOST_TRENDS = 12
#: Characters of spans on one page; each of the others has a page of its own.
_LONGEST_SPANS = 400_000


class RunsQuery(BaseModel):
    """How many runs are listed."""

    limit: Annotated[int, Field(ge=1, le=_MOST_RUNS)] = _PAGE


class CasesQuery(BaseModel):
    """Which cases are listed, in which order, and how many.

    Attributes:
        sort: The key of a column; with a ``-`` before it the other way round. As the tests ran by default.
    """

    only: Literal["all", "not-passed"] = "all"
    sort: str | None = None
    limit: Annotated[int, Field(ge=1)] = 200


class CaseQuery(BaseModel):
    """Which case is meant: its id is a path itself."""

    id: str


class TracesQuery(BaseModel):
    """Which traces are listed."""

    task: str | None = None
    after: Annotated[str, Field(pattern=r"^[^|]+\|\d{1,18}$")] | None = None


class SearchQuery(BaseModel):
    """What is searched."""

    q: str = ""
    task: str | None = None


class Line(NamedTuple):
    """A case in a table.

    Attributes:
        outcome: The worst of its own and that of its gates.
        criteria: The mean of each score over its samples.
    """

    case: Case
    outcome: str
    score: float | None
    criteria: list[float | None]
    latency_ms: float | None
    cost_usd: float | None


class Column(NamedTuple):
    """A column of the table of cases.

    Attributes:
        key: What ``sort`` calls it.
        value: What lines are sorted by; those without one come last.
    """

    key: str
    title: str
    value: Callable[[Line], Any]
    is_number: bool = True


def list_runs(call: Call, query: RunsQuery) -> View:
    """List runs, the newest first, with the trend of each task."""
    runs = call.store.runs(query.limit + 1)
    listed = runs[: query.limit]
    tasks = dict.fromkeys(task.task for run in listed for task in run.tasks)
    trends = [_trend(task, listed) for task in [*tasks][:_MOST_TRENDS]]
    more = min(query.limit + _PAGE, _MOST_RUNS) if len(runs) > query.limit < _MOST_RUNS else None
    return View("runs.list", {"runs": listed, "trends": trends, "more": more, "outcome": _of_task})


def show_run(call: Call, run_id: str) -> View:
    """Show a run with its tasks."""
    return View("runs.run", {"run": _run(call, run_id), "outcome": _of_task})


def show_task(call: Call, query: CasesQuery, run_id: str, task: str) -> View:
    """Show what a task came to in a run: its gates, its trend, what changed, and its cases."""
    run = _run(call, run_id)
    found = next((summary for summary in run.tasks if summary.task == task), None)
    cases = call.workspace.archive.cases(run.id, task)
    if found is None and not cases:
        raise Refusal(404, f"run {run_id!r} has no task {task!r}")
    names = criteria_of(cases)
    columns = _columns(names)
    lines = _sorted([_line(case, names) for case in cases], columns, query.sort)
    wanted = [line for line in lines if query.only == "all" or line.outcome != "pass"]
    earlier = [known for known in call.store.runs(_PAGE) if known.created_at <= run.created_at]
    values = {
        "run": run,
        "task": task,
        "summary": found,
        "trends": [_trend(task, earlier)],
        "columns": columns,
        "sort": query.sort,
        "lines": wanted[: query.limit],
        "total": len(wanted),
        "only": query.only,
        "more": query.limit * 5 if len(wanted) > query.limit else None,
    }
    return View("runs.task", values)


def show_case(call: Call, query: CaseQuery, run_id: str) -> View:
    """Show a case with all that its samples did."""
    run = _run(call, run_id)
    case = call.workspace.archive.case(run.id, query.id)
    if case is None:
        raise Refusal(404, f"run {run_id!r} has no case {query.id!r}")
    outcome = shown.of_case(case.outcome, [gate.outcome for gate in case.gates])
    return View("runs.case", {"run": run, "case": case, "outcome": outcome})


def list_traces(call: Call, query: TracesQuery) -> View:
    """List traces, the newest first."""
    page = call.store.intake.page(task=query.task, limit=_PAGE, after=query.after)
    values = {"traces": page.traces, "task": query.task, "after": page.ends[-1] if page.more else None}
    return View("traces.list", values)


def show_trace(call: Call, trace_id: str) -> View:
    """Show a trace: its scores with their reasons, its messages, tool calls and spans."""
    store, trace = call.store, trace_of(call, trace_id)
    values = {
        "trace": trace,
        "run": call.workspace.archive.run(trace.run_id) if trace.run_id else None,
        "rating": store.ratings.one(trace.id),
        "annotations": store.annotations.newest(trace_id=trace.id),
        "behaviors": store.annotations.behaviors(),
        "rows": shown.rows(trace.spans),
        "whole": _whole(trace),
    }
    return View("traces.trace", values)


def show_span(call: Call, trace_id: str, number: str) -> View:
    """Show one span of a trace, by its place among them."""
    trace = trace_of(call, trace_id)
    if not (number.isascii() and number.isdigit() and int(number) < len(trace.spans)):
        raise Refusal(404, f"trace {trace_id!r} has no span {number!r}")
    return View("traces.span", {"trace": trace, "span": trace.spans[int(number)]})


def search(call: Call, query: SearchQuery) -> View:
    """Find traces by their texts."""
    found = call.workspace.search(query.q, task=query.task, limit=_PAGE)
    return View("traces.search", {"q": query.q, "task": query.task, "hits": found.hits, "total": found.total})


def trace_of(call: Call, trace_id: str) -> Trace:
    """Return a trace by its whole id.

    Raises:
        Refusal: There is none (404).
    """
    trace = call.store.intake.one(trace_id)
    if trace is None:
        raise Refusal(404, f"there is no trace {trace_id!r}")
    return trace


def _whole(trace: Trace) -> int:
    """Return how many spans are shown with what they did: each call of an agent repeats those before it."""
    size = 0
    for number, span in enumerate(trace.spans):
        size += len(span.model_dump_json())
        if size > _LONGEST_SPANS:
            return number
    return len(trace.spans)


def _run(call: Call, run_id: str) -> Run:
    run = call.workspace.archive.run(run_id)
    if run is None:
        raise Refusal(404, f"there is no run {run_id!r}")
    return run


def _of_task(task: TaskSummary) -> str | None:
    """Return the worst outcome of a task's gates, those on its cases with them."""
    on_cases = [name for name, count in task.case_gates.items() if count]
    return shown.worst([*(gate.outcome for gate in task.gates), *on_cases])


def _trend(task: str, runs: list[Run]) -> dict[str, Any]:
    """Gather what the chart of a task needs of runs, of which the newest comes first."""
    newest = next((summary for run in runs for summary in run.tasks if summary.task == task), None)
    gates = [] if newest is None else newest.gates
    return {
        "task": task,
        "gates": [{"name": gate.name, "limit": limit(gate)} for gate in gates],
        "history": history_data(task, runs[::-1]),
    }


def _line(case: Case, criteria: list[str]) -> Line:
    def mean(name: str) -> float | None:
        return shown.mean(sample.metrics.get(name) for sample in case.samples)

    return Line(
        case,
        shown.of_case(case.outcome, [gate.outcome for gate in case.gates]),
        mean("score"),
        [mean(name) for name in criteria],
        mean("latency_ms"),
        mean("cost_usd"),
    )


def _columns(criteria: list[str]) -> list[Column]:
    def mean(at: int) -> Callable[[Line], float | None]:
        return lambda line: line.criteria[at]

    return [
        Column("case", "Case", lambda line: line.case.id, is_number=False),
        Column("gate", "Gate", lambda line: shown.badness(line.outcome), is_number=False),
        Column("score", "Score", lambda line: line.score),
        Column("samples", "Samples", lambda line: len(line.case.samples)),
        *(Column(f"score:{name}", name, mean(at)) for at, name in enumerate(criteria)),
        Column("latency", "Latency", lambda line: line.latency_ms),
        Column("cost", "Cost", lambda line: line.cost_usd),
    ]


def _sorted(lines: list[Line], columns: list[Column], by: str | None) -> list[Line]:
    if by is None:
        return lines
    column = next((known for known in columns if known.key == by.removeprefix("-")), None)
    if column is None:
        keys = ", ".join(known.key for known in columns)
        raise Refusal(422, f"query.sort: there is no column {by!r}; sort by one of: {keys}")
    known = [line for line in lines if column.value(line) is not None]
    known.sort(key=column.value, reverse=by.startswith("-"))
    return known + [line for line in lines if column.value(line) is None]


PAGES = (
    Page("GET", f"{ROOT}/runs", Access.READ, list_runs),
    Page("GET", f"{ROOT}/runs/{{run_id}}", Access.READ, show_run, errors=(404,)),
    Page("GET", f"{ROOT}/runs/{{run_id}}/tasks/{{task}}", Access.READ, show_task, errors=(404,)),
    Page("GET", f"{ROOT}/runs/{{run_id}}/case", Access.READ, show_case, errors=(404,)),
    Page("GET", f"{ROOT}/traces", Access.READ, list_traces),
    Page("GET", f"{ROOT}/traces/{{trace_id}}", Access.READ, show_trace, errors=(404,)),
    Page("GET", f"{ROOT}/traces/{{trace_id}}/spans/{{number}}", Access.READ, show_span, errors=(404,)),
    Page("GET", f"{ROOT}/search", Access.READ, search),
)
