"""``kaizen prompts show`` and ``activate``, and ``kaizen keys``, on a server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.models import PromptVersion, Task
from pytest_kaizen.store.central import Scope
from pytest_kaizen.store.workspaces import Workspaces
from tests.cli.conftest import Cli, Served, Side

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXTS = ("You sort.", "You sort \x1b[31mwell.")


@pytest.fixture
def workspaces(served: Served) -> Iterator[Workspaces]:
    """The server's store, with two versions of a prompt of which the first is active."""
    found = Workspaces.open(served.folder)
    (place,) = found.central.workspaces()
    store = found.get(place.id).store
    store.tasks.add(Task(name="triage", created_at=NOW))
    store.save_prompts(
        PromptVersion(
            task="triage", version=number, sha256=sha256(text), text=text, source="insights", created_at=NOW
        )
        for number, text in enumerate(TEXTS, 1)
    )
    store.activations.activate("triage", 1)
    yield found
    found.close()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.usefixtures("workspaces")
def test_a_version_is_shown_and_made_the_active_one(there: Side) -> None:
    shown = there.cli("prompts", "show", "triage")
    assert shown == (0, f"triage version 1 (active)\nsha256: {sha256(TEXTS[0])}\n\nYou sort.\n", "")
    assert "You sort \\x1b[31mwell.\n" in there.cli("prompts", "show", "triage", "2")[1]
    assert there.cli("prompts", "activate", "triage", "2") == (0, "triage: version 2 is active\n", "")
    found = json.loads(there.cli("prompts", "show", "triage", "--json")[1])
    assert (found["version"], found["active"], found["text"]) == (2, True, TEXTS[1])
    status, out, err = there.cli("prompts", "show", "triage", "3")
    assert (status, out) == (2, "")
    assert "no prompt of 'triage' with a version 3 there (there are: 2, 1)" in err
    status, out, err = there.cli("prompts", "activate", "other", "1")
    assert (status, out) == (1, "")
    assert "no task 'other'" in err


@pytest.mark.usefixtures("workspaces")
def test_two_versions_are_compared(there: Side) -> None:
    diff = "--- triage version 1\n+++ triage version 2\n@@ -1 +1 @@\n-You sort.\n+You sort \\x1b[31mwell.\n"
    assert there.cli("prompts", "diff", "triage", "1", "2") == (0, diff, "")
    assert there.cli("prompts", "activate", "triage", "2")[0] == 0
    assert there.cli("prompts", "diff", "triage") == (0, diff, "")
    status, out, err = there.cli("prompts", "diff", "triage", "2", "3")
    assert (status, out, "a version 3" in err) == (2, "", True)


@pytest.mark.usefixtures("workspaces")
def test_the_first_version_has_none_before_it(there: Side) -> None:
    said = "kaizen: version 1 of 'triage' is the first, there is none before it\n"
    assert there.cli("prompts", "diff", "triage") == (2, "", said)


@pytest.mark.usefixtures("workspaces")
def test_a_version_has_the_keys_of_one_in_a_file(there: Side, cli: Cli, project: Path) -> None:
    (project / "prompts/triage").mkdir(parents=True)
    (project / "prompts/triage/1.md").write_text("You sort.\n")
    here = json.loads(cli("prompts", "show", "triage", "--json")[1])
    found = json.loads(there.cli("prompts", "show", "triage", "--json")[1])
    assert list(found) == list(here)
    same = ("id", "task", "version", "active", "text", "sha256")
    assert [found[key] for key in same] == [here[key] for key in same]


@pytest.fixture
def admin(workspaces: Workspaces, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a key that may manage keys; it is in the environment."""
    (place,) = workspaces.central.workspaces()
    key, secret = workspaces.central.keys.create(place.id, label="admin", scopes=[Scope.ADMIN])
    monkeypatch.setenv("KAIZEN_API_KEY", secret)
    return key.id


def listed(there: Side) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(there.cli("keys", "list", "--json")[1])
    return found


@pytest.mark.usefixtures("admin")
def test_keys_of_a_server(there: Side, workspaces: Workspaces) -> None:
    assert {key["label"] for key in listed(there)} == {"cli", "admin"}
    made = json.loads(there.cli("keys", "create", "--label", "ci\x1b[31m", "--json")[1])
    assert sorted(made) == ["created_at", "id", "key", "label"]
    kept = workspaces.central.keys.find(made["key"])
    assert kept is not None
    assert kept.scopes == (Scope.READ, Scope.WRITE)
    status, secret, _ = there.cli("keys", "create")
    assert (status, workspaces.central.keys.find(secret.strip()) is None) == (0, False)
    assert r"ci\x1b[31m" in there.cli("keys", "list")[1]

    assert json.loads(there.cli("keys", "revoke", made["id"], "--json")[1]) == {"revoked": made["id"]}
    assert made["id"] not in {key["id"] for key in listed(there)}
    assert there.cli("keys", "revoke", made["id"])[0] == 1
    for option in (["--workspace", "x"], ["--scope", "admin"], ["--days", "1"], ["--store", "x"]):
        status, out, err = there.cli("keys", "create", *option)
        assert (status, out) == (2, "")
        assert err == f"kaizen: {option[0]}: only where the server's store is, without --server\n"


def test_a_key_that_may_not(there: Side) -> None:
    status, out, err = there.cli("keys", "list")
    assert (status, out) == (1, "")
    assert "does not let the key do this (KAIZEN_API_KEY)" in err
