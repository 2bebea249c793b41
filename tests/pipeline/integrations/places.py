"""Servers on this machine that answer as MLflow, LangSmith and Braintrust document it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.pipeline.integrations.place import Asked, Place, Said, missing

# MLflow


def otlp(value: Any) -> dict[str, Any]:
    """A value as MLflow's REST API writes it."""
    if isinstance(value, dict):
        return {
            "kvlist_value": {"values": [{"key": key, "value": otlp(item)} for key, item in value.items()]}
        }
    if isinstance(value, list):
        return {"array_value": {"values": [otlp(item) for item in value]}}
    kind = {bool: "bool_value", int: "int_value", float: "double_value"}.get(type(value), "string_value")
    return {kind: value}


def mlflow_span(trace: int, number: int, name: str, parent: int | None, **more: Any) -> dict[str, Any]:
    def coded(value: int, size: int) -> str:
        return base64.b64encode(value.to_bytes(size, "big")).decode()

    start = 1_760_000_000_000_000_000 + trace * 1_000_000_000 + number * 1_000_000
    span = {
        "trace_id": coded(trace, 16),
        "span_id": coded(trace * 100 + number, 8),
        "name": name,
        "start_time_unix_nano": start,
        "end_time_unix_nano": start + 500_000,
        "attributes": [{"key": key, "value": otlp(value)} for key, value in more.pop("attributes").items()],
        "status": {"code": "STATUS_CODE_OK"},
        **more,
    }
    return span if parent is None else {**span, "parent_span_id": coded(trace * 100 + parent, 8)}


def mlflow_trace(number: int) -> dict[str, Any]:
    """A trace of an agent with a tool and a call, as ``batchGet`` returns it."""
    chat = {
        "mlflow.spanType": "CHAT_MODEL",
        "mlflow.spanInputs": {
            "model": "gpt-4o-mini",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": f"q{number}"},
            ],
        },
        "mlflow.spanOutputs": {
            "choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]
        },
        "mlflow.chat.tokenUsage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
    }
    tool = {"mlflow.spanType": "TOOL", "mlflow.spanInputs": {"q": "x"}, "mlflow.spanOutputs": ["a"]}
    agent = {"mlflow.spanType": "AGENT", "mlflow.spanInputs": {"q": f"q{number}"}, "mlflow.spanOutputs": "hi"}
    return {
        "trace_info": {
            "trace_id": f"tr-{number:032x}",
            "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "1"}},
            "request_time": f"2026-11-22T12:{number:02}:00.000Z",
            "execution_duration": "0.005s",
            "state": "OK",
            "trace_metadata": {"mlflow.user": "root"},
            "tags": {
                "mlflow.traceName": "agent",
                "mlflow.trace.spansLocation": "TRACKING_STORE",
                "team": "support",
            },
        },
        "spans": [
            mlflow_span(number, 1, "agent", None, attributes=agent),
            mlflow_span(number, 2, "search", 1, attributes=tool),
            mlflow_span(number, 3, "chat", 1, attributes=chat),
        ],
    }


class MlflowPlace(Place):
    """A tracking server with one experiment, ``support``, and so many traces."""

    def __init__(self, traces: int = 3) -> None:
        super().__init__()
        self.traces = {
            trace["trace_info"]["trace_id"]: trace for trace in map(mlflow_trace, range(1, traces + 1))
        }
        self.files: dict[str, Any] = {}
        self.version = b"3.17.2"

    def answer(self, asked: Asked) -> Said:
        experiment = {"experiment_id": "1", "name": "support", "lifecycle_stage": "active"}
        match asked.path.removeprefix("/api/"):
            case "/version":
                return Said(200, self.version)
            case "2.0/mlflow/experiments/search":
                return Said(200, {"experiments": [experiment]})
            case "2.0/mlflow/experiments/get-by-name":
                known = asked.query["experiment_name"] == ["support"]
                return Said(200, {"experiment": experiment}) if known else missing("experiment")
            case "2.0/mlflow/experiments/get":
                known = asked.query["experiment_id"] == ["1"]
                return Said(200, {"experiment": experiment}) if known else missing("experiment")
            case "3.0/mlflow/traces/search":
                return self._search(asked.body)
            case "3.0/mlflow/traces/batchGet":
                found = [self.traces[one] for one in asked.query["trace_ids"]]
                if any("mlflow.trace.spansLocation" not in trace["trace_info"]["tags"] for trace in found):
                    return Said(500, {"message": "Trace data not stored in tracking store"})
                return Said(200, {"traces": found})
            case "/ajax-api/2.0/mlflow/get-trace-artifact":
                file = self.files.get(asked.query["request_id"][0])
                return missing("artifact") if file is None else Said(200, file)
        return missing("path")

    def _search(self, query: dict[str, Any]) -> Said:
        assert query["locations"][0]["mlflow_experiment"] == {"experiment_id": "1"}
        assert query["order_by"] == ["timestamp_ms DESC"]
        infos = [trace["trace_info"] for trace in self.traces.values()]
        infos.sort(key=lambda info: str(info["request_time"]), reverse=True)
        since = query.get("filter", "timestamp_ms >= 0").removeprefix("timestamp_ms >= ")
        infos = [info for info in infos if _ms(info["request_time"]) >= int(since)]
        start = int(base64.b64decode(query["page_token"])) if "page_token" in query else 0
        end = start + query["max_results"]
        body = {"traces": infos[start:end]}
        more = {"next_page_token": base64.b64encode(str(end).encode()).decode()} if end < len(infos) else {}
        return Said(200, {**body, **more})


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


# LangSmith


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def langsmith_runs(number: int) -> list[dict[str, Any]]:
    """The runs of a trace: a chain over a call by LangChain, as the older query returns them."""
    at = f"2026-11-22T12:{number:02}:00"
    root, call = uuid(number), uuid(1000 + number)
    order = f"20261122T12{number:02}00000000Z{root}"
    human = {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", "HumanMessage"],
        "kwargs": {"content": f"q{number}", "type": "human"},
    }
    ai = {
        "id": ["langchain", "schema", "messages", "AIMessage"],
        "kwargs": {"content": "hi", "tool_calls": [{"name": "search", "args": {"q": 1}, "id": "call_1"}]},
    }
    return [
        {
            "id": root,
            "name": "agent",
            "run_type": "chain",
            "status": "success",
            "start_time": f"{at}.000000",
            "end_time": f"{at}.900000",
            "inputs": {"question": f"q{number}"},
            "outputs": {"answer": "hi"},
            "error": None,
            "trace_id": root,
            "dotted_order": order,
            "parent_run_id": None,
            "tags": ["prod"],
            "extra": {"metadata": {"thread": "t1"}},
            "feedback_stats": {"polite": {"n": 2, "avg": 0.5}, "stars": {"n": 1, "avg": 4.0}},
            "prompt_tokens": 10,
            "total_cost": 0.25,
        },
        {
            "id": call,
            "name": "ChatOpenAI",
            "run_type": "llm",
            "start_time": f"{at}.100000",
            "end_time": f"{at}.600000",
            "inputs": {"messages": [[human]]},
            "outputs": {"generations": [[{"text": "hi", "message": ai}]]},
            "trace_id": root,
            "dotted_order": f"{order}.20261122T12{number:02}00100000Z{call}",
            "parent_run_id": root,
            "extra": {
                "metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o-mini"},
                "invocation_params": {"temperature": 0},
            },
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_token_details": {"cache_read": 4},
            "total_cost": 0.25,
        },
    ]


class LangsmithPlace(Place):
    """A LangSmith server with one project, ``support``.

    Attributes:
        newer: Whether it has the newer query of runs.
        most: So many runs are on a page at most.
    """

    header = "x-api-key"

    def __init__(self, traces: int = 3, *, newer: bool = True) -> None:
        super().__init__()
        self.newer = newer
        self.most = 100
        self.runs = [run for number in range(1, traces + 1) for run in langsmith_runs(number)]

    def answer(self, asked: Asked) -> Said:
        if asked.path == "/api/v1/sessions":
            named = asked.query.get("name", ["support"]) == ["support"]
            return Said(200, [{"id": uuid(9), "name": "support"}] if named else [])
        names = ("project_ids", "trace_id", "min_start_time", "page_size", "selects")
        if asked.path == "/api/v1/runs/query":
            names = ("session", "trace", "start_time", "limit", "select")
        elif asked.path != "/api/v2/runs/query" or not self.newer:
            return Said(404, {"detail": "Not Found"})
        project, trace, since, size, select = names
        assert asked.body[project] == [uuid(9)]
        found = [
            run
            for run in sorted(self.runs, key=lambda run: str(run["start_time"]), reverse=True)
            if run["start_time"] + "+00:00" >= asked.body[since].replace("Z", "+00:00")
            and (run["trace_id"] == asked.body[trace] if trace in asked.body else not run["parent_run_id"])
        ]
        start = int(asked.body.get("cursor", 0))
        end = start + min(asked.body[size], self.most)
        following = str(end) if end < len(found) else None
        if asked.path == "/api/v1/runs/query":
            assert "parent_run_id" in asked.body[select]
            return Said(200, {"runs": found[start:end], "cursors": {"next": following, "prev": None}})
        assert "PARENT_RUN_IDS" in asked.body[select]
        return Said(200, {"items": [_newer(run) for run in found[start:end]], "next_cursor": following})


def _newer(run: dict[str, Any]) -> dict[str, Any]:
    made = {key: value for key, value in run.items() if key != "parent_run_id" and value is not None}
    made["run_type"] = run["run_type"].upper()
    made["start_time"] += "Z"
    if run["parent_run_id"]:
        made["parent_run_ids"] = [run["parent_run_id"]]
    if "prompt_token_details" in run:
        made["prompt_token_details"] = {"raw": run["prompt_token_details"]}
    return made


# Braintrust


def braintrust_events(number: int) -> list[dict[str, Any]]:
    """The rows of a trace: a task over a call."""
    start = 1_795_350_000 + number * 60
    created = f"2026-11-22T12:{number:02}:00.000Z"
    shared = {"project_id": uuid(9), "log_id": "g", "root_span_id": f"root-{number}", "created": created}
    return [
        {
            **shared,
            "id": f"row-{number}-1",
            "_xact_id": f"{1000 + number}",
            "span_id": f"root-{number}",
            "span_parents": None,
            "is_root": True,
            "span_attributes": {"name": "agent", "type": "task"},
            "input": f"q{number}",
            "output": "hi",
            "expected": "hello",
            "scores": {"polite": 0.5, "broken": None},
            "metadata": {"correlationId": f"run-{number}"},
            "metrics": {"start": start, "end": start + 0.9},
            "tags": ["prod"],
        },
        {
            **shared,
            "id": f"row-{number}-2",
            "_xact_id": f"{1000 + number}",
            "span_id": f"call-{number}",
            "span_parents": [f"root-{number}"],
            "span_attributes": {"name": "Chat Completion", "type": "llm"},
            "input": [{"role": "user", "content": f"q{number}"}],
            "output": [{"role": "assistant", "content": "hi"}],
            "metadata": {"model": "gpt-4o-mini"},
            "metrics": {
                "start": start + 0.1,
                "end": start + 0.6,
                "prompt_tokens": 10,
                "completion_tokens": 5,
            },
        },
    ]


class BraintrustPlace(Place):
    """Braintrust's API with one project, ``support``."""

    def __init__(self, traces: int = 3) -> None:
        super().__init__()
        self.events = [braintrust_events(number) for number in range(traces, 0, -1)]

    def answer(self, asked: Asked) -> Said:
        if asked.path == "/v1/project":
            named = asked.query.get("project_name", ["support"]) == ["support"]
            by_id = asked.query.get("ids", [uuid(9)]) == [uuid(9)]
            return Said(200, {"objects": [{"id": uuid(9), "name": "support"}] if named and by_id else []})
        if asked.path == f"/v1/project_logs/{uuid(9)}/fetch":
            cursor = asked.body.get("cursor", "0")
            start = int(cursor) if cursor.isdecimal() else 0
            end = start + asked.body["limit"]
            rows = [row for trace in self.events[start:end] for row in trace]
            return Said(200, {"events": rows, "cursor": str(end) if end < len(self.events) else None})
        if asked.path == "/btql":
            rows = [row for trace in self.events for row in trace if self._wanted(trace, asked.body["query"])]
            return Said(200, {"data": rows})
        return Said(404, b"no such path")

    def _wanted(self, trace: list[dict[str, Any]], query: str) -> bool:
        assert query.startswith(f"SELECT * FROM project_logs('{uuid(9)}', shape => 'traces') WHERE ")
        ids = (trace[0]["root_span_id"], trace[0]["metadata"]["correlationId"])
        return any(f"'{one}'" in query for one in ids)


PLACES: dict[str, Callable[[], Place]] = {
    "mlflow": MlflowPlace,
    "langsmith": LangsmithPlace,
    "braintrust": BraintrustPlace,
}
