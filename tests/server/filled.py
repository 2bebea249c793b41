"""A workspace with something of everything in it, each text of which says whose it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx

from pytest_kaizen.models import Insight, PromptVersion
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.prompts.files import sha256_of
from tests.server.conftest import Book

#: What parameters of paths, of queries and of bodies name in a workspace: the key of its id in what
#: ``fill`` returns.
IDS = {
    **{name: name for name in ("agent_id", "experiment_id", "insight_id", "job_id", "key_id", "prompt_id")},
    **{name: name for name in ("run_id", "task_id", "trace_id", "version_id")},
    "integration": "integration",
    "ids": "trace_id",
    "trace_ids": "trace_id",
    "traceIds": "trace_id",
    "insightIds": "insight_id",
    "correlationIds": "trace_id",
}
#: Parameters of paths that are no ids: what stands for them in any workspace.
WORDS = {"name": "mlflow"}


def fill(book: Book, url: str, key: str, workspace: str, mark: str, braintrust: str) -> dict[str, str]:
    """Put something of everything into a workspace.

    Args:
        book: The server's keys and stores.
        url: Where the server is.
        key: The name of a key of the workspace with all scopes.
        workspace: Its name.
        mark: Stands in every text, and in no id.
        braintrust: The address of a server with a project of Braintrust, ``support``.

    Returns:
        An id of each kind.
    """
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {book.keys[key]}"}) as http:

        def post(path: str, body: object) -> Any:
            answer = http.post(path, json=body)
            assert answer.is_success, f"{path}: {answer.text}"
            return answer.json()

        task = post("/api/v1/tasks", {"name": f"task-{workspace}", "description": mark})
        trace_id = f"trace-{workspace}"
        entry = {"inputs": {"q": mark}, "output": mark, "metadata": {"by": mark}}
        post("/api/v1/feedback", {"task_id": task["id"], **entry})
        span = {
            "id": trace_id,
            "name": "anthropic chat",
            "span_attributes": {"type": "llm"},
            "input": mark,
            "output": mark,
            "metrics": {"start": 1.0, "end": 2.0, "prompt_tokens": 3},
        }
        metadata = {"correlationId": trace_id, "note": mark}
        trace = {
            "id": trace_id,
            "project_id": f"p {mark}",
            "input": mark,
            "output": mark,
            "metadata": metadata,
        }
        post("/api/v1/traces/ingest", {**trace, "spans": [span]})
        post("/api/v1/traces", {"task_id": task["id"], "prompt_text": mark, "response_text": mark})
        post(f"/api/v1/traces/{trace_id}/feedback", {"rating": "down", "comment": mark})
        post("/api/traces", {"traces": [{"filename": f"{mark}.md", "content": mark, "fileType": "md"}]})
        experiment = post("/api/experiments", {"name": mark, "correlationIds": [trace_id]})
        post("/api/behaviors", {"label": mark, "description": mark})
        post("/api/annotations", {"trace_id": trace_id, "label": mark, "confidence": 0.5, "notes": mark})
        agent = post("/agents", {"name": mark, "objective": mark})
        run = post(f"/agents/{agent['id']}/runs", {"trigger": "manual"})
        steps = [{"node_name": mark, "input_text": mark, "output_text": mark}]
        post(f"/agents/{agent['id']}/runs/{run['id']}/spans", {"spans": steps})
        for name, key_of_it in (("mlflow", "token"), ("langsmith", "apiKey"), ("braintrust", "apiKey")):
            answer = http.put(f"/api/integrations/{name}", json={"projectName": mark, key_of_it: mark})
            assert answer.is_success, answer.text
        made = post("/api/v1/keys", {"label": mark})
        settings = {"apiUrl": braintrust, "apiKey": f"key-of-{workspace}", "projectName": "support"}
        answer = http.put("/api/integrations/braintrust", json=settings)
        assert answer.is_success, answer.text
        store = book.store(workspace)
        now = datetime.now(UTC)
        insight = Insight(id=f"insight-{workspace}", task=task["name"], rule=mark, note=mark, created_at=now)
        store.save_insights([insight])
        prompt = PromptVersion(
            task=task["name"], version=1, sha256=sha256_of(mark), text=mark, note=mark, created_at=now
        )
        store.save_prompts([prompt])
        (version,) = http.get(f"/api/v1/prompts/{task['id']}/versions").json()
        post(f"/api/v1/prompts/{task['id']}/activate", {"version_id": version["id"]})
        job = jobs.start(store, "optimize", task["name"], {})
        jobs.fail(store, job, mark)
    book.open(workspace).index(anyway=True)
    return {
        "agent_id": agent["id"],
        "experiment_id": experiment["id"],
        "insight_id": insight.id,
        "integration": "braintrust",
        "job_id": job.id,
        "key_id": made["id"],
        "prompt_id": prompt.id,
        "run_id": run["id"],
        "task_id": task["id"],
        "trace_id": trace_id,
        "version_id": version["id"],
    }
