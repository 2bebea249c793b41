"""Runs, their tasks, cases and traces, and the search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field

from ...models import Case, Run, TaskSummary, Trace
from ...report.html import criteria_of, history_data, limit
from ...store.traces import SORTED_TRACES
from ..operation import Access, Call
from ..problem import Refusal
from . import shown
from .order import TRACE_COLUMNS, Column, Sorting, in_order, order
from .page import ROOT, Page, View

_PAGE = 50
_MOST_RUNS = 1000
#: Trends that are drawn on one page.
_MOST_TRENDS = 12
#: Characters of spans on one page; each of the others has a page of its own.
_LONGEST_SPANS = 400_000


class RunsQuery(Sorting):
    """How many runs are listed, in which order."""

    limit: Annotated[int, Field(ge=1, le=_MOST_RUNS)] = _PAGE


class CasesQuery(Sorting):
    """Which cases are listed, in which order, and how many; as the tests ran by default."""

    only: Literal["all", "not-passed"] = "all"
    limit: Annotated[int, Field(ge=1)] = 200


class CaseQuery(BaseModel):
    """Which case is meant: its id is a path itself."""

    id: str


class TracesQuery(Sorting):
    """Which traces are listed, and in which order.

    Attributes:
        after: Where a page begins in the order of time.
        skip: After how many a page begins in another order.
    """

    task: str | None = None
    after: Annotated[str, Field(pattern=r"^[^|]+\|\d{1,18}$")] | None = None
    skip: Annotated[int, Field(ge=0, le=SORTED_TRACES)] = 0


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


def list_runs(call: Call, query: RunsQuery) -> View:
    """List runs, the newest first, with the trend of each task."""
    # Sorted are all that can be listed, also where few of them are.
    runs = call.store.runs(query.limit + 1 if query.sort is None else _MOST_RUNS)
    ordered = order(_RUN_COLUMNS, query.sort, "runs")
    listed = in_order(runs, ordered)[: query.limit]
    newest = runs[: query.limit]
    tasks = dict.fromkeys(task.task for run in newest for task in run.tasks)
    trends = [_trend(task, newest) for task in [*tasks][:_MOST_TRENDS]]
    more = min(query.limit + _PAGE, _MOST_RUNS) if len(runs) > query.limit < _MOST_RUNS else None
    values = {"runs": listed, "order": ordered, "trends": trends, "more": more, "outcome": _of_task}
    return View("runs.list", values)


def show_run(call: Call, query: Sorting, run_id: str) -> View:
    """Show a run with its tasks."""
    run = _run(call, run_id)
    ordered = order(_TASK_COLUMNS, query.sort, "runs", run.id)
    values = {"run": run, "order": ordered, "tasks": in_order(run.tasks, ordered), "outcome": _of_task}
    return View("runs.run", values)


def show_task(call: Call, query: CasesQuery, run_id: str, task: str) -> View:
    """Show what a task came to in a run: its gates, its trend, what changed, and its cases."""
    run = _run(call, run_id)
    found = next((summary for summary in run.tasks if summary.task == task), None)
    cases = call.workspace.archive.cases(run.id, task)
    if found is None and not cases:
        raise Refusal(404, f"run {run_id!r} has no task {task!r}")
    names = criteria_of(cases)
    kept = {"only": query.only} if query.only != "all" else {}
    ordered = order(_case_columns(names), query.sort, "runs", run.id, "tasks", task, **kept)
    lines = in_order([_line(case, names) for case in cases], ordered)
    wanted = [line for line in lines if query.only == "all" or line.outcome != "pass"]
    earlier = [known for known in call.store.runs(_PAGE) if known.created_at <= run.created_at]
    values = {
        "run": run,
        "task": task,
        "summary": found,
        "trends": [_trend(task, earlier)],
        "order": ordered,
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
    """List traces, the newest first, or some of the newest in another order."""
    kept = {"task": query.task} if query.task is not None else {}
    ordered = order(TRACE_COLUMNS, query.sort, "traces", **kept)
    values = {"order": ordered, "task": query.task, "after": None, "skip": None, "newest": SORTED_TRACES}
    if query.sort is None:
        page = call.store.intake.page(task=query.task, limit=_PAGE, after=query.after)
        return View(
            "traces.list", {**values, "traces": page.traces, "after": page.ends[-1] if page.more else None}
        )
    found = call.store.intake.ordered(query.sort, task=query.task, limit=_PAGE + 1, skip=query.skip)
    skip = query.skip + _PAGE if len(found) > _PAGE else None
    return View("traces.list", {**values, "traces": found[:_PAGE], "skip": skip})


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


def _case_columns(criteria: list[str]) -> list[Column]:
    def mean(at: int) -> Callable[[Line], float | None]:
        return lambda line: line.criteria[at]

    return [
        Column("case", "Case", lambda line: line.case.id),
        Column("gate", "Gate", lambda line: shown.badness(line.outcome)),
        Column("score", "Score", lambda line: line.score, is_number=True),
        Column("samples", "Samples", lambda line: len(line.case.samples), is_number=True),
        *(Column(f"score:{name}", name, mean(at), is_number=True) for at, name in enumerate(criteria)),
        Column("latency", "Latency", lambda line: line.latency_ms, is_number=True),
        Column("cost", "Cost", lambda line: line.cost_usd, is_number=True),
    ]


def _cost(run: Run) -> float | None:
    return shown.total(task.cost_usd for task in run.tasks)


def _badness(tasks: list[TaskSummary]) -> int | None:
    outcome = shown.worst(found for found in map(_of_task, tasks) if found is not None)
    return None if outcome is None else shown.badness(outcome)


_RUN_COLUMNS = (
    Column("run", "Run", lambda run: run.id),
    Column("when", "When", lambda run: run.created_at),
    Column("branch", "Branch", lambda run: run.branch or None),
    Column("revision", "Revision", lambda run: run.revision or None),
    Column("status", "Status", lambda run: run.status),
    Column("tasks", "Tasks", lambda run: _badness(run.tasks)),
    Column("cost", "Cost", _cost, is_number=True),
)
_TASK_COLUMNS = (
    Column("task", "Task", lambda task: task.task),
    Column("gates", "Gates", lambda task: _badness([task])),
    Column("score", "Score", lambda task: task.score, is_number=True),
    Column("interval", "Interval", None),
    Column("passed", "Passed", lambda task: task.pass_rate, is_number=True),
    Column("cases", "Cases", lambda task: task.cases, is_number=True),
    Column("samples", "Samples", lambda task: task.samples, is_number=True),
    Column("prompt", "Prompt", lambda task: task.prompts or None),
    Column("cost", "Cost", lambda task: task.cost_usd, is_number=True),
    Column("latency", "Latency", lambda task: task.latency_p50_ms, is_number=True),
)
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
