"""``kaizen insights list`` and ``triage``."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_kaizen.models import Insight, InsightStatus
from pytest_kaizen.store import Store

Cli = Callable[..., tuple[int, str, str]]
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def insights(project: Path) -> list[Insight]:
    """Three, from the oldest: one accepted, two pending, which contradict each other."""
    found = [
        Insight(id="aa11", task="greet", rule="Be kind.", status=InsightStatus.ACCEPTED, note="of course"),
        Insight(
            id="ab22", task="default", section="dates", rule="Name a date.", when="asked when", created_at=NOW
        ),
        Insight(
            id="bb33",
            task="default",
            section="dates",
            rule="Name \x1b[2Jno date.\n::error::gotcha",
            evidence=("t1", "t2"),
            justification="dates were wrong",
            votes=2,
            contradicts=("ab22",),
        ),
    ]
    with Store.open(project / ".kaizen/kaizen.db") as store:
        store.save_insights(found)
    return found


def stored(project: Path) -> dict[str, tuple[str, str | None]]:
    with Store.open(project / ".kaizen/kaizen.db") as store:
        return {insight.id: (insight.status.value, insight.note) for insight in store.insights()}


@pytest.mark.usefixtures("insights")
def test_the_table(cli: Cli) -> None:
    status, out, err = cli("insights", "list")
    assert (status, err) == (0, "")
    columns = (4, 8, 7, 9, 36, 7, 8, 13, 9)
    rows = [
        ("id", "status", "task", "section", "insight", "  votes", "  traces", "contradicts", "note"),
        tuple("-" * width for width in columns),
        (
            "bb33",
            "pending",
            "default",
            "dates",
            r"Name \x1b[2Jno date. ::error::gotcha",
            "      2",
            "       2",
            "ab22",
        ),
        ("ab22", "pending", "default", "dates", "asked when: Name a date.", "      1", "       0"),
        ("aa11", "accepted", "greet", "general", "Be kind.", "      1", "       0", "", "of course"),
    ]
    assert [line.rstrip() for line in out.splitlines()] == [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, columns, strict=False)).rstrip()
        for row in rows
    ]


@pytest.mark.usefixtures("insights")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--status", "pending"), ["bb33", "ab22"]),
        (("--status", "new"), ["bb33", "ab22"]),
        (("--status", "accepted"), ["aa11"]),
        (("--status", "rejected"), []),
        (("--section", "general"), ["aa11"]),
        (("--task", "default"), ["bb33", "ab22"]),
    ],
)
def test_filters(arguments: tuple[str, ...], expected: list[str], cli: Cli) -> None:
    _, out, _ = cli("insights", "list", "--json", *arguments)
    assert [found["id"] for found in json.loads(out)] == expected


@pytest.mark.usefixtures("insights")
def test_json_is_the_shape_of_the_api_with_a_few_keys_more(cli: Cli) -> None:
    _, out, _ = cli("insights", "list", "--json")
    assert json.loads(out)[1] == {
        "id": "ab22",
        "section": "dates",
        "content": "asked when: Name a date.",
        "status": "pending",
        "evidence": [],
        "justification": "",
        "confidence": 0.5,
        "helpful": 0,
        "harmful": 0,
        "note": None,
        "task": "default",
        "votes": 1,
        "criterion": None,
        "contradicts": [],
        "createdAt": "2026-03-01T00:00:00Z",
    }


@pytest.mark.usefixtures("insights")
def test_triage(cli: Cli, project: Path) -> None:
    status, out, _ = cli(
        "insights", "triage", "--accept", "ab", "--reject", "bb33", "aa11", "--note", "by me"
    )
    assert (status, out) == (0, "accepted 1, rejected 2\n")
    assert stored(project) == {
        "aa11": ("rejected", "by me"),
        "ab22": ("accepted", "by me"),
        "bb33": ("rejected", "by me"),
    }


@pytest.mark.usefixtures("insights")
def test_accept_all_takes_what_nobody_decided_about(cli: Cli, project: Path) -> None:
    cli("insights", "triage", "--reject", "aa11")
    status, out, _ = cli("insights", "triage", "--accept-all", "--reject", "bb", "--json")
    assert (status, [(found["id"], found["status"]) for found in json.loads(out)]) == (
        0,
        [("bb33", "rejected"), ("ab22", "accepted")],
    )
    assert stored(project)["aa11"] == ("rejected", "of course")
    assert cli("insights", "triage", "--accept-all")[1] == "accepted 0, rejected 0\n"


@pytest.mark.usefixtures("insights")
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "nothing to do: give --accept ID, --reject ID or --accept-all"),
        (("--accept", "ab22", "zz"), "no insight is meant by 'zz'"),
        (("--accept", "ab22", "a"), "several insights are meant by 'a'"),
        (("--accept", "ab22", ""), "no insight is meant by ''"),
        (("--accept", "ab22", "--reject", "ab"), "insight ab22 is to be accepted and rejected"),
    ],
)
def test_triage_does_all_or_nothing(arguments: tuple[str, ...], why: str, cli: Cli, project: Path) -> None:
    status, out, err = cli("insights", "triage", *arguments)
    assert (status, out) == (2, "")
    assert why in err
    assert stored(project)["ab22"] == ("pending", None)


def test_nothing_yet(cli: Cli, project: Path) -> None:
    status, _, err = cli("insights", "list")
    assert (status, "kaizen.db: " in err) == (1, True)
    Store.open(project / ".kaizen/kaizen.db").close()
    assert cli("insights", "list") == (0, "no insights\n", "")
