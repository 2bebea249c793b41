"""Every row of the platforms' pages has a test that names it.

A test names the rows that it asks for by a marker: ``@pytest.mark.wire("kalmia: GET /api/traces")``, with
as many rows as it has to do with. A row is the platform, and method and path as in the table of operations;
what a page says beyond its operations is a row in words.
Who adds an operation says here which page it is a row of, and marks a test.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_kaizen.server.routes import OPERATIONS

HERE = Path(__file__).parent
_AGENT = "/agents/{agent_id}"
_RUN = f"{_AGENT}/runs/{{run_id}}"
#: By platform, the rows of its page.
ROWS = {
    "kayba": (
        "GET /api/traces",
        "POST /api/traces",
        "GET /api/traces/{trace_id}",
        "DELETE /api/traces/{trace_id}",
        "POST /api/traces/batch",
        "POST /api/insights/generate",
        "GET /api/insights",
        "PATCH /api/insights/{insight_id}",
        "GET /api/jobs/{job_id}",
        "POST /api/jobs/{job_id}",
        "POST /api/prompts/generate",
        "GET /api/prompts",
        "GET /api/prompts/{prompt_id}",
        "GET /api/integrations",
        "PUT /api/integrations/mlflow",
        "PUT /api/integrations/langsmith",
        "POST /api/integrations/{name}/test",
    ),
    "kalmia": (
        "POST /api/v1/chat/completions",
        "POST /api/v1/messages",
        "POST /api/v1/traces/ingest",
        "GET /api/v1/traces",
        "POST /api/traces/search",
        "POST /api/v1/traces/{trace_id}/feedback",
        "POST /api/experiments",
        "GET /api/experiments",
        "GET /api/experiments/{experiment_id}",
        "POST /api/experiments/{experiment_id}/analysis",
        "GET /api/braintrust/traces",
        "GET /api/braintrust/traces/{trace_id}",
        "GET /api/behaviors",
        "POST /api/behaviors",
        "POST /api/behaviors/detect",
        "GET /api/annotations",
        "POST /api/annotations",
    ),
    "kaizen-ct": (
        "POST /api/v1/tasks",
        "GET /api/v1/tasks",
        "GET /api/v1/tasks/{task_id}",
        "DELETE /api/v1/tasks/{task_id}",
        "POST /api/v1/tasks/{task_id}/seed",
        "POST /api/v1/feedback",
        "GET /api/v1/feedback",
        "GET /api/v1/prompts/{task_id}",
        "POST /api/v1/prompts/{task_id}/activate",
        "GET /api/v1/prompts/{task_id}/versions",
        "POST /api/v1/optimize/{task_id}",
        "GET /api/v1/jobs",
        "GET /api/v1/jobs/{job_id}",
        "POST /api/v1/jobs/{job_id}/retry-pr",
        "POST /api/v1/jobs/{job_id}/create-pr",
        "POST /api/v1/traces",
        "GET /api/v1/traces",
        "POST /api/v1/traces/{trace_id}/score",
        "GET /api/v1/keys/status",
        "GET /api/v1/keys",
        "POST /api/v1/keys",
        "DELETE /api/v1/keys/{key_id}",
        "POST /api/v1/keys/bootstrap",
        "GET /health",
        "a job, end to end",
    ),
    "kate": (
        "GET /agents",
        "POST /agents",
        f"GET {_AGENT}",
        f"PATCH {_AGENT}",
        f"DELETE {_AGENT}",
        f"GET {_AGENT}/runs",
        f"POST {_AGENT}/runs",
        f"GET {_RUN}",
        f"POST {_RUN}/complete",
        f"GET {_RUN}/spans",
        f"POST {_RUN}/spans",
        f"POST {_AGENT}/runs/enqueue",
        f"GET {_AGENT}/eval/summary",
    ),
    # What holds for all of them together.
    "shared": (
        "a key in either header",
        "one path answers two platforms",
        "one error body",
        "a slash at the end",
        "one trace, whoever sent it",
        "one job, in the words of each platform",
    ),
}
#: What no platform's page has.
OURS = {
    "GET /api/jobs",
    "POST /api/jobs/{job_id}/cancel",
    "PUT /api/integrations/braintrust",
    "DELETE /api/integrations/{name}",
    "GET /api/integrations/{name}/projects",
    "POST /api/integrations/{name}/import",
    "GET /ready",
    "GET /metrics",
    "GET /openapi.json",
    "POST /v1/traces",
}


def markers_in(source: str) -> Iterator[str]:
    """Yield what the tests of a file name by the marker."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.wire":
                    yield from (ast.literal_eval(row) for row in mark.args)


@pytest.fixture(scope="module")
def named() -> set[str]:
    files = sorted(HERE.rglob("test_*.py"))
    return {row for path in files for row in markers_in(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("page", ROWS)
def test_every_row_of_a_page_has_a_test_that_names_it(page: str, named: set[str]) -> None:
    assert [row for row in ROWS[page] if f"{page}: {row}" not in named] == []


def test_no_test_names_a_row_that_is_none(named: set[str]) -> None:
    assert named - {f"{page}: {row}" for page, rows in ROWS.items() for row in rows} == set()


def test_every_operation_is_a_row_of_a_page_or_ours() -> None:
    """A new one belongs in ROWS, or in OURS where no page has it."""
    operations = {operation.name for operation in OPERATIONS}
    rows = {row for rows in ROWS.values() for row in rows if re.match("[A-Z]+ /", row)}
    assert operations - rows - OURS == set()
    assert (rows | OURS) - operations == set()


def test_what_counts_as_naming_a_row() -> None:
    source = """
@pytest.mark.asyncio
@pytest.mark.wire("a: GET /x", "b: GET /y")
async def test_x(): ...
@pytest.mark.wire("c: GET /z")
def helper(): ...
"""
    assert list(markers_in(source)) == ["a: GET /x", "b: GET /y"]
