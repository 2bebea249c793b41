"""What a command prints as JSON over a server is what it prints for the same data on this machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pytest_kaizen.platforms.kalmia.trace_wire import KalmiaTrace
from tests.cli.conftest import Side

#: What is another each time: ids that are given out, and moments.
OTHER_EACH_TIME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|20[2-9]\d-\d\d-\d\dT[\d:.]+Z")
TRACE = {
    "id": "t1",
    "created": "2019-03-01T12:00:00Z",
    "input": [{"role": "user", "content": "Where is it?"}],
    "output": "On its way.",
    "metadata": {"correlationId": "c1", "project": "shop"},
    "spans": [
        {"id": "t1", "span_parents": [], "name": "agent", "scores": {"polite": 0.5}},
        {
            "id": "s2",
            "span_parents": ["t1"],
            "name": "anthropic chat",
            "span_attributes": {"name": "anthropic chat", "type": "llm"},
            "input": [{"role": "user", "content": "Where is it?"}],
            "output": [{"role": "assistant", "content": "On its way."}],
            # A server puts a price on what it takes in, if it knows one.
            "metadata": {"model": "claude-of-no-price"},
            "metrics": {"start": 1.5, "end": 2.5, "prompt_tokens": 3, "completion_tokens": 2},
        },
    ],
}
COMMANDS = (
    "experiments create e c1 c2",
    "experiments list",
    "experiments show ID",
    "behaviors create rude It-is-rude.",
    "behaviors list",
    "annotations create t1 rude --confidence 0.5 --notes so",
    "annotations list",
    "agents create bot --objective help",
    "agents list",
    "agents show ID",
    "agents update ID --name clerk",
    "agents summary ID",
    "runs create --agent bot --trigger test",
    "runs upload ID spans.json --agent bot",
    "runs spans ID --agent bot",
    "runs complete ID --agent bot",
    "runs show ID --agent bot",
    "runs list --agent bot",
    "tasks create triage --threshold 7",
    "tasks list",
    "tasks show triage",
    "feedback list --task triage",
    "traces search way",
    "traces rate t1 --up",
    "traces score t1 0.5",
    "jobs list",
)


def printed(side: Side) -> dict[str, Any]:
    """Everything that the commands print; ID is that of what the last ``create`` made."""
    side.put(KalmiaTrace.model_validate(TRACE))
    found: dict[str, Any] = {}
    made = ""
    for command in COMMANDS:
        asked = [made if word == "ID" else word for word in command.split()]
        while True:
            status, out, err = side.cli(*asked, "--json")
            assert status == 0, command
            # On this machine the command itself would evaluate the run, if there were an output.
            assert err == "" or (command.startswith("runs complete") and err.startswith("not evaluated: "))
            value = json.loads(out)
            # A server indexes what it stored soon after.
            if value or command != "traces search way":
                break
        if " create " in command and isinstance(value, dict):
            made = value["id"]
        found[command] = json.loads(OTHER_EACH_TIME.sub("…", out))
    return found


def test_the_same_json(here: Side, there: Side, project: Path) -> None:
    (project / "spans.json").write_text('[{"name": "plan", "output": "done", "latency_ms": 2}]')
    ours, theirs = printed(here), printed(there)
    for command in COMMANDS:
        for value in (ours, theirs):
            forget_owner(value[command])
        assert ours[command] == theirs[command], command


def forget_owner(value: Any) -> None:
    """A store on this machine is nobody's but one's own."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict) and "owner_id" in item:
            item["owner_id"] = None
