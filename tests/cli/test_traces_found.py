"""``kaizen traces search``, ``rate`` and ``score``, on this machine and over a server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from pytest_kaizen.platforms.kalmia.trace_wire import KalmiaTrace
from pytest_kaizen.store import Store
from tests.cli.conftest import Cli, Side


def a_trace(trace_id: str, output: str, project: str = "shop") -> KalmiaTrace:
    span = {"id": trace_id, "span_parents": [], "name": "agent", "output": output}
    return KalmiaTrace.model_validate(
        {
            "id": trace_id,
            "project_id": project,
            "created": "2026-03-01T12:00:00Z",
            "output": output,
            "spans": [span],
        }
    )


def asked(side: Side, *arguments: str) -> Any:
    status, out, err = side.cli(*arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def when_indexed(side: Side, query: str) -> None:
    """A server indexes what it stored soon after, in a thread."""
    while not asked(side, "traces", "search", query):
        time.sleep(0.05)


def test_words_are_found(side: Side) -> None:
    side.put(a_trace("t1", "The \x1b[31m late parcel came"), a_trace("t2", "late: a parcel", "other"))
    side.put(a_trace("t3", "no such thing"))
    when_indexed(side, "thing")

    def found(query: str, *more: str) -> list[str]:
        return [hit["trace"]["id"] for hit in asked(side, "traces", "search", query, *more)]

    assert found("LATE parcel") == ["t2", "t1"]
    assert found('"late parcel"') == ["t1"]
    assert found("parcel -came") == ["t2"]
    assert found("parcel", "--project", "shop") == ["t1"]
    assert found("parcel", "--limit", "1") == ["t2"]
    assert found("nowhere") == []
    (hit,) = asked(side, "traces", "search", "came")
    assert sorted(hit) == ["score", "snippet", "trace"]
    assert 0 < hit["score"] < 1
    assert "late parcel came" in hit["snippet"]
    assert (hit["trace"]["output"], len(hit["trace"]["spans"])) == ("The \x1b[31m late parcel came", 1)

    lines = side.cli("traces", "search", "came")[1].splitlines()
    assert lines[2].split()[:3] == ["t1", "2026-03-01", "12:00:00"]
    assert r"The \x1b[31m late parcel came" in lines[2]
    assert side.cli("traces", "search", "nowhere") == (0, "no traces\n", "")


def test_a_rating_is_a_score_of_the_trace(side: Side) -> None:
    side.put(a_trace("t1", "The parcel came"))
    when_indexed(side, "parcel")
    assert asked(side, "traces", "rate", "t1", "--down", "--comment", "wrong") == {
        "id": "t1",
        "rating": "down",
        "comment": "wrong",
    }
    assert side.cli("traces", "rate", "t1", "--up") == (0, "rated t1\n", "")
    assert asked(side, "traces", "score", "t1", "0.25", "--by", "me") == {
        "id": "t1",
        "score": 0.25,
        "scored_by": "me",
    }
    assert side.cli("traces", "score", "t1", "0.5") == (0, "scored t1: 0.5\n", "")


def test_what_is_said_here_is_kept(here: Side, cli: Cli, local: Callable[[], Store]) -> None:
    here.put(a_trace("t1", "The parcel came"))
    cli("traces", "rate", "t", "--down", "--comment", "wrong")
    cli("traces", "rate", "last", "--up")
    cli("traces", "score", "t1", "0.25")
    cli("traces", "score", "t1", "0.5", "--by", "me")
    with local() as store:
        trace = store.trace("t1")
    assert [(score.name, score.value, score.source.value, score.reason) for score in trace.scores] == [
        ("rating", 1.0, "human", "wrong"),
        ("score", 0.5, "sdk", None),
    ]
    assert trace.metadata["scored_by"] == "me"


def test_a_score_is_feedback_where_the_task_says_so(here: Side, cli: Cli, local: Callable[[], Store]) -> None:
    here.put(a_trace("t1", "The parcel came"))
    cli("tasks", "create", "track", "--feedback-source", "traces")
    with local() as store:
        store.intake.put([store.trace("t1").model_copy(update={"task": "track"})])
    assert cli("traces", "score", "t1", "0.5")[0] == 0
    (entry,) = json.loads(cli("feedback", "list", "--task", "track", "--json")[1])
    assert (entry["score"], entry["output"]) == (0.5, "The parcel came")


@pytest.fixture
def local(project: Any) -> Callable[[], Store]:
    return lambda: Store.open(project / ".kaizen/kaizen.db")


REFUSED = (
    (["rate", "t1"], 2, "nothing to say: give --up, --down or --comment"),
    (["rate", "t1", "--up", "--down"], 2, "not allowed with argument"),
    (["score", "t1", "2"], 2, "expected a number from 0 to 1 (found '2')"),
    (["score", "gone", "1"], 1, "no trace 'gone'"),
)


def test_what_cannot_be(side: Side) -> None:
    side.put(a_trace("t1", "The parcel came"))
    for arguments, status, said in REFUSED:
        found, out, err = side.cli("traces", *arguments)
        assert (found, out, said in err) == (status, "", True), (arguments, err)
