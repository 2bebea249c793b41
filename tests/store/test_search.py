"""Full-text search: the same words and the same answers on every home."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_kaizen.models import Message, Part
from pytest_kaizen.store import search
from pytest_kaizen.store.database import Connection
from pytest_kaizen.store.search import MOST_CHARACTERS, Query, finder, parse_query, snippet, words
from pytest_kaizen.store.workspaces import OpenWorkspace, Tending, Workspaces


def stored(workspace: OpenWorkspace, make: Any, **fields: Any) -> str:
    """Store a trace that says nothing but what is given; return its id."""
    trace = make.trace(**{"name": "", "case_id": None, "spans": [], "scores": [], **fields})
    workspace.store.shelf.add([trace])
    workspace.index(anyway=True)
    trace_id: str = trace.id
    return trace_id


def found(workspace: OpenWorkspace, text: str, **options: Any) -> list[str]:
    """What the index finds; reading all traces finds the same."""
    hits = workspace.search(text, **options)
    if not options:
        assert workspace.store.shelf.search(text) == hits
    return [hit.trace.id for hit in hits.hits]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "the needle"},
        {"case_id": "test_needle.py::test"},
        {"task": "needle"},
        {"error": "ValueError: needle"},
        {"input": {"question": ["a NEEDLE?"]}},
        {"output": "needle"},
        {"metadata": {"where": "needle/haystack"}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_any_text_of_a_trace_is_found(workspace: OpenWorkspace, make: Any, fields: dict[str, Any]) -> None:
    stored(workspace, make, output="hay")
    needle = stored(workspace, make, **fields)
    assert found(workspace, "needle") == [needle]


def test_the_messages_of_spans_are_found(workspace: OpenWorkspace, make: Any) -> None:
    span = make.trace().spans[0]
    span.output = [Message(role="assistant", parts=[Part(type="text", content="a needle")])]
    needle = stored(workspace, make, spans=[span])
    assert found(workspace, "needle") == [needle]
    assert found(workspace, "claude-haiku-4-5") == [needle]
    # The names of JSON's keys are not what anybody looks for.
    assert found(workspace, "parts") == []


def test_words_phrases_and_what_is_not_to_be_there(workspace: OpenWorkspace, make: Any) -> None:
    one = stored(workspace, make, output="The late parcel; Größe 12, gpt-4o.")
    two = stored(workspace, make, output="A parcel came late: gpt-4 o' clock")
    assert found(workspace, "late parcel") == [two, one]
    assert found(workspace, '"late parcel"') == [one]
    assert found(workspace, "parcel -came") == [one]
    assert found(workspace, 'parcel -"came late"') == [one]
    assert found(workspace, "GRÖSSE") == []
    assert found(workspace, "größe 12") == [one]
    assert found(workspace, "gpt-4o") == [one]
    assert found(workspace, "parce") == []


@pytest.mark.parametrize(
    "text",
    ["", "  ", "-late", '"', "''", '"unclosed', "AND", "a OR", "*", "x'; DROP TABLE traces", "(", ":", "\0"],
)
def test_nothing_that_is_typed_is_an_error(workspace: OpenWorkspace, make: Any, text: str) -> None:
    stored(workspace, make, output="late parcel")
    assert workspace.search(text) == ([], 0)
    assert workspace.store.shelf.search(text) == ([], 0)


def test_the_last_stored_comes_first_and_all_are_counted(
    workspace: OpenWorkspace, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [stored(workspace, make, output="parcel " * number, task=f"t{number % 2}") for number in (1, 2, 3)]
    hits = workspace.search("parcel", limit=2)
    assert [hit.trace.id for hit in hits.hits] == [ids[2], ids[1]]
    assert hits.total == 3
    assert [hit.score for hit in hits.hits] == [3 / 4, 2 / 3]
    assert found(workspace, "parcel", task="t1") == [ids[2], ids[0]]
    for at_once in (1, 2, 100):
        monkeypatch.setattr(search, "_READ_AT_ONCE", at_once)
        assert workspace.store.shelf.search("parcel", limit=2) == hits
    monkeypatch.setattr(search, "MOST_COUNTED", 2)
    assert workspace.search("parcel", limit=1).total == 2
    assert workspace.store.shelf.search("parcel", limit=1).total == 2


def test_reading_all_traces_leaves_those_of_jobs_out(workspace: OpenWorkspace, make: Any) -> None:
    mine = stored(workspace, make, output="parcel")
    workspace.store.add_rollout("job", make.trace(run_id=None, case_id=None, output="parcel"))
    assert [hit.trace.id for hit in workspace.store.shelf.search("parcel").hits] == [mine]


def test_what_changes_and_what_goes(workspace: OpenWorkspace, make: Any) -> None:
    first = stored(workspace, make, output="before", created_at=make.time())
    second = stored(workspace, make, output="before", created_at=make.time())
    with workspace._database.write() as connection:
        connection.execute("UPDATE traces SET data = ? WHERE id = ?", ('{"output": "after"}', second))
    assert workspace.index(anyway=True) == 1
    assert found(workspace, "before") == [first]
    assert found(workspace, "after") == [second]
    workspace.store.retention.delete_traces(1)
    assert workspace.index(anyway=True) == 1
    assert found(workspace, "before") == []


def test_it_is_indexed_soon_after_it_was_written(
    workspaces: Workspaces, workspace: OpenWorkspace, make: Any
) -> None:
    traces = [make.trace(output=f"needle {number}") for number in range(250)]
    with Tending(workspaces):
        workspace.writer.enqueue(lambda store: store.shelf.add(traces)).result()
        while workspace.search("needle").total < 250:
            pass
    assert workspace.index(anyway=True) == 0
    assert workspace.index() == 0


def test_an_index_is_made_for_what_is_there_already(workspaces: Workspaces, make: Any) -> None:
    """A workspace that was written to before it could be searched."""
    made = workspaces.central.create_workspace("old")
    workspace = workspaces.get(made.id)
    trace_id = stored(workspace, make, output="old parcel")
    with workspace._database.write() as connection:
        drop_index(connection)
        workspace._search.prepare(connection)
    assert workspace.search("parcel").hits == []
    workspace.index(anyway=True)
    assert found(workspace, "parcel") == [trace_id]


def drop_index(connection: Connection) -> None:
    postgres = not hasattr(connection, "in_transaction")
    if postgres:
        connection.execute("DROP FUNCTION search_owe CASCADE")
    else:
        for event in ("insert", "update", "delete"):
            connection.execute(f"DROP TRIGGER search_{event}")
    connection.execute("DROP TABLE search_owed")
    connection.execute("DROP TABLE search")


def test_a_very_long_text_is_indexed_up_to_a_size(workspace: OpenWorkspace, make: Any) -> None:
    text = " ".join(f"w{number}" for number in range(MOST_CHARACTERS // 4))
    needle = stored(workspace, make, name="first", output=f"{text} last")
    assert found(workspace, "first") == [needle]
    assert found(workspace, "w5000 w5001") == [needle]
    assert found(workspace, "last") == []
    longest = stored(workspace, make, output="y" * 5000)
    assert found(workspace, "y" * 5000) == [longest]


def test_a_query_in_parts() -> None:
    assert parse_query('late -"very late" gpt-4o "a') == Query(
        [["late"], ["gpt", "4o"], ["a"]], [["very", "late"]]
    )


def test_words_are_letters_and_digits_in_lower_case() -> None:
    assert words("Größe_12, naïve-CAFÉ? 東京 x'y") == ["größe", "12", "naïve", "café", "東京", "x", "y"]


def test_a_snippet_lies_around_the_first_word() -> None:
    text = "hay " * 100 + "the needle\nlies here " + "hay " * 100
    shown = snippet(text, finder(parse_query("NEEDLE")), width=60)
    assert shown == "…hay hay hay hay the needle lies here hay hay hay hay hay hay…"
    assert snippet("short needle", finder(parse_query("needle"))) == "short needle"
