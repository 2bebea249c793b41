"""``kaizen workspaces``: what a server's workspaces keep."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.models import Trace
from pytest_kaizen.store.workspaces import Workspaces

Cli = Callable[..., tuple[int, str, str]]


def settings(cli: Cli) -> dict[str, tuple[Any, Any]]:
    status, out, err = cli("workspaces", "list", "--json")
    assert (status, err) == (0, "")
    return {known["name"]: (known["keep_days"], known["keep_bytes"]) for known in json.loads(out)}


def test_what_is_kept_is_set_and_taken_back(cli: Cli) -> None:
    assert cli("workspaces", "list") == (
        0,
        "no workspaces yet; `kaizen keys create` makes the first\n",
        "",
    )
    assert cli("workspaces", "create", "team")[0] == 0
    status, out, _ = cli("workspaces", "create", "other", "--json")
    made = json.loads(out)
    assert (status, made["name"], made["keep_days"]) == (0, "other", None)
    assert list(settings(cli)) == ["other", "team"]

    status, out, err = cli("workspaces", "set", "team", "--keep-days", "30", "--max-size", "1.5GB")
    assert (status, err) == (0, "")
    assert "30 days" in out
    assert "1,500,000,000 bytes" in out
    assert settings(cli) == {"other": (None, None), "team": (30.0, 1_500_000_000)}

    # What is not named stays.
    assert cli("workspaces", "set", "team", "--max-size", "none", "--name", "crew")[0] == 0
    assert settings(cli) == {"other": (None, None), "crew": (30.0, None)}
    assert cli("workspaces", "set", made["id"], "--keep-days", "0.5")[0] == 0
    assert settings(cli)["other"] == (0.5, None)


def test_a_server_deletes_by_what_was_set(cli: Cli, project: Path) -> None:
    cli("workspaces", "create", "team")
    cli("workspaces", "set", "team", "--keep-days", "7")
    now = datetime.now(UTC)
    workspaces = Workspaces.open(project / ".kaizen/server")
    try:
        policy = workspaces.central.workspace("team")
        assert policy is not None
        place = workspaces.get(policy.id)
        for name, age in (("old", 8), ("new", 6)):
            place.store.intake.put([Trace(id=name, name=name, created_at=now - timedelta(days=age))])
        assert place.retain(policy, now) == 1
        assert [trace.id for trace in place.store.traces()] == ["new"]
    finally:
        workspaces.close()


REFUSED = (
    (["set", "team"], 2, "kaizen: nothing to do: give --keep-days, --max-size or --name\n"),
    (["set", "team", "--name", " "], 2, "kaizen: --name: a workspace needs a name\n"),
    (["set", "mars", "--keep-days", "1"], 1, "kaizen: there is no workspace 'mars' (there are: team)\n"),
    (["create", "team"], 1, "there is a workspace 'team' already\n"),
    (["set", "team", "--keep-days", "0"], 2, "expected days above 0 and up to 36500 (found '0')\n"),
    (["set", "team", "--keep-days", "1e9"], 2, "expected days above 0 and up to 36500 (found '1e9')\n"),
    (
        ["set", "team", "--max-size", "much"],
        2,
        "expected a size, 500MB or 20GB for instance (found 'much')\n",
    ),
    (["set", "team", "--max-size", "0"], 2, "expected a size, 500MB or 20GB for instance (found '0')\n"),
)


def test_what_cannot_be(cli: Cli) -> None:
    cli("workspaces", "create", "team")
    for arguments, status, said in REFUSED:
        found, out, err = cli("workspaces", *arguments)
        assert (found, out, err.endswith(said)) == (status, "", True), (arguments, err)
    assert settings(cli) == {"team": (None, None)}


@pytest.mark.parametrize(
    ("text", "count"), [("4096", 4096), ("500MB", 500_000_000), ("2 gb", 2_000_000_000), ("1k", 1000)]
)
def test_sizes(cli: Cli, text: str, count: int) -> None:
    cli("workspaces", "create", "team")
    assert cli("workspaces", "set", "team", "--max-size", text)[0] == 0
    assert settings(cli) == {"team": (None, count)}


def test_names_send_nothing_to_the_terminal(cli: Cli) -> None:
    cli("workspaces", "create", "red\x1b[31m")
    _, out, _ = cli("workspaces", "list")
    assert "\x1b" not in out
    assert r"red\x1b[31m" in out
