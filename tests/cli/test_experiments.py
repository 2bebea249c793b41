"""``kaizen experiments``, ``behaviors`` and ``annotations``, on this machine and over a server."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pytest_kaizen.platforms.kalmia.trace_wire import KalmiaTrace
from tests.cli.conftest import Cli, Side

START = 1_772_366_400.0


def a_trace(trace_id: str, *, correlation_id: str | None = None, **fields: Any) -> KalmiaTrace:
    """A trace of one call of 500 ms with 3 + 2 tokens."""
    call = {
        "id": trace_id,
        "span_parents": [],
        "name": "anthropic chat",
        "span_attributes": {"name": "anthropic chat", "type": "llm"},
        "metrics": {"start": START, "end": START + 0.5, "prompt_tokens": 3, "completion_tokens": 2},
        **fields,
    }
    metadata = {} if correlation_id is None else {"correlationId": correlation_id}
    return KalmiaTrace.model_validate(
        {"id": trace_id, "created": START, "output": "Soon.", "metadata": metadata, "spans": [call]}
    )


def made(side: Side, *arguments: str) -> Any:
    status, out, err = side.cli(*arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_an_experiment_with_its_figures(side: Side) -> None:
    side.put(a_trace("t1", correlation_id="c1", scores={"polite": 0.5}), a_trace("other"))
    experiment = made(side, "experiments", "create", "spring\x1b[31m", "c1", "c2")
    assert sorted(experiment) == ["correlationIds", "createdAt", "id", "name"]
    side.put(a_trace("t2", correlation_id="c2", error="it broke"))
    later = made(side, "experiments", "create", "later", "nobody")
    assert made(side, "experiments", "list") == [later, experiment]

    found = made(side, "experiments", "show", experiment["id"])
    metrics, traces = found.pop("metrics"), found.pop("traces")
    assert found == experiment
    assert metrics == {
        "traces": 2,
        "errors": 1,
        "error_rate": 0.5,
        "score": {"polite": {"mean": 0.5, "n": 1}},
        "latency_ms": {"p50": 500.0, "p95": 500.0},
        "input_tokens": 6,
        "output_tokens": 4,
        "cost_usd": None,
    }
    assert [(trace["id"], trace["error"], len(trace["spans"])) for trace in traces] == [
        ("t2", "it broke", 1),
        ("t1", None, 1),
    ]
    assert [score["name"] for score in traces[1]["scores"]] == ["polite"]

    status, out, err = side.cli("experiments", "show", experiment["id"])
    assert (status, err) == (0, "")
    facts = dict(re.split("  +", line, maxsplit=1) for line in out.partition("\n\n")[0].splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", facts.pop("created"))
    assert facts == {
        "experiment": r"spring\x1b[31m",
        "id": experiment["id"],
        "traces": "2 of 2 correlation ids",
        "errors": "1 (50%)",
        "latency": "p50 500 ms, p95 500 ms",
        "tokens": "6 in, 4 out",
        "score polite": "0.500 over 1",
    }
    assert re.findall(r"^(t\d) ", out, re.MULTILINE) == ["t2", "t1"]


def test_a_list_of_experiments(side: Side) -> None:
    status, out, err = side.cli("experiments", "list")
    assert (status, err) == (0, "")
    assert out == "no experiments yet; group traces to one: `kaizen experiments create NAME TRACE…`\n"
    side.cli("experiments", "create", "red\x1b[31m\nname", "c1")
    _, out, _ = side.cli("experiments", "list")
    assert [line.split()[1:3] for line in out.splitlines()[2:]] == [[r"red\x1b[31m", "name"]]


def test_an_experiment_that_is_not_there(side: Side) -> None:
    status, out, err = side.cli("experiments", "show", "none")
    assert (status, out) == (1, "")
    assert "there is no experiment 'none'" in err


def test_behaviors_are_defined_once(side: Side) -> None:
    assert side.cli("behaviors", "list")[1].startswith("no behaviours yet")
    rude = made(side, "behaviors", "create", "rude", "It insults the customer.")
    assert {name: rude[name] for name in ("label", "description")} == {
        "label": "rude",
        "description": "It insults the customer.",
    }
    vague = made(side, "behaviors", "create", "vague", "It names no date.")
    assert made(side, "behaviors", "list") == [vague, rude]
    status, out, err = side.cli("behaviors", "create", "rude", "Again.")
    assert (status, out) == (1, "")
    assert "there is a behaviour 'rude' already" in err
    lines = side.cli("behaviors", "list")[1].splitlines()
    assert [line.split()[0] for line in lines] == ["behaviour", "-----------", "vague", "rude"]


def test_annotations_say_what_traces_show(side: Side) -> None:
    side.put(a_trace("t1"), a_trace("t2"))
    assert side.cli("annotations", "list") == (0, "no annotations\n", "")
    first = made(side, "annotations", "create", "t1", "rude", "--confidence", "0.7", "--notes", "a joke")
    second = made(side, "annotations", "create", "t2", "vague")
    assert {**first, "id": "", "createdAt": ""} == {
        "id": "",
        "trace_id": "t1",
        "label": "rude",
        "confidence": 0.7,
        "notes": "a joke",
        "source": "human",
        "createdAt": "",
    }
    assert (second["confidence"], second["notes"]) == (1.0, None)
    assert made(side, "annotations", "list") == [second, first]
    assert made(side, "annotations", "list", "--trace", "t1") == [first]
    assert made(side, "annotations", "list", "--label", "vague") == [second]
    assert made(side, "annotations", "list", "--trace", "t1", "--label", "vague") == []
    _, out, _ = side.cli("annotations", "list", "--trace", "t1")
    assert out.splitlines()[2].split()[:5] == ["t1", "rude", "0.70", "human", "a"]


REFUSED = (
    (["create", "gone", "rude"], 1, "no trace 'gone'"),
    (["create", "t1", "rude", "--confidence", "2"], 2, "expected a number from 0 to 1 (found '2')"),
    (["create", "t1"], 2, "required: LABEL"),
)


def test_an_annotation_that_cannot_be(side: Side) -> None:
    side.put(a_trace("t1"))
    for arguments, status, said in REFUSED:
        found, out, err = side.cli("annotations", *arguments)
        assert (found, out, said in err) == (status, "", True), (arguments, err)
    assert made(side, "annotations", "list") == []


def test_secrets_are_not_kept_here(here: Side, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    here.put(a_trace("t1"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-0123456789abcdefghij")
    said = "it leaks sk-proj-0123456789abcdefghij"
    for arguments in (
        ["behaviors", "create", "leaky", said],
        ["annotations", "create", "t1", "leaky", "--notes", said],
        ["experiments", "create", said, "c1"],
    ):
        status, out, _ = cli(*arguments, "--json")
        assert status == 0
        assert "it leaks" in out
        assert "0123456789" not in out
