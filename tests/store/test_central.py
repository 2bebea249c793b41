"""Workspaces and their keys."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.store.central import ApiKey, Central, KeyState, Scope
from pytest_kaizen.store.workspaces import Workspaces

NOW = datetime.now(UTC)


@pytest.fixture
def central(workspaces: Workspaces) -> Central:
    return workspaces.central


def test_workspaces_by_id_and_by_name(central: Central) -> None:
    one, two = central.create_workspace("one"), central.create_workspace("two")
    assert central.workspaces() == [one, two]
    assert central.workspace(one.id) == central.workspace("one") == one
    assert central.workspace("three") is None
    with pytest.raises(StoreError, match="there is a workspace 'one' already"):
        central.create_workspace("one")
    with pytest.raises(StoreError, match="needs a name"):
        central.create_workspace(" ")


def test_a_workspace_changes(central: Central) -> None:
    one, two = central.create_workspace("one"), central.create_workspace("two")
    changed = one.model_copy(update={"name": "uno", "keep_days": 30.0, "keep_bytes": 10**9})
    central.save_workspace(changed)
    assert central.workspaces() == [changed, two]
    with pytest.raises(StoreError, match="there is a workspace 'two' already"):
        central.save_workspace(changed.model_copy(update={"name": "two"}))


def test_a_key_is_found_by_its_secret_which_is_not_stored(central: Central) -> None:
    workspace = central.create_workspace("one")
    made, secret = central.keys.create(
        workspace.id, label="CI", scopes=[Scope.WRITE, Scope.READ], expires_at=NOW + timedelta(days=1)
    )
    assert secret.startswith("kz_")
    # 256 bits in base64.
    assert len(secret) == 3 + 43
    assert (made.label, made.scopes, made.start) == ("CI", (Scope.READ, Scope.WRITE), secret[:7])
    assert central.keys.find(secret) == made
    assert central.keys.find(secret[:-1]) is None
    assert central.keys.find("") is None
    assert central.keys.find("kz_\ud800") is None
    with central._database.read() as connection:
        (row,) = connection.execute("SELECT * FROM api_keys").fetchall()
    assert secret not in str(row)
    assert hashlib.sha256(secret.encode()).hexdigest() in row


def test_keys_of_a_workspace(central: Central) -> None:
    one, two = central.create_workspace("one"), central.create_workspace("two")
    first, _ = central.keys.create(one.id, label="a", scopes=[Scope.READ])
    second, _ = central.keys.create(two.id, label="b", scopes=[Scope.ADMIN])
    assert central.keys.list() == [first, second]
    assert central.keys.list(two.id) == [second]
    with pytest.raises(StoreError, match="there is no workspace 'three'"):
        central.keys.create("three", label="c", scopes=[Scope.READ])
    with pytest.raises(StoreError, match="a key needs a scope: read, write or admin"):
        central.keys.create(one.id, label="c", scopes=[])


def test_the_states_of_a_key(central: Central) -> None:
    workspace = central.create_workspace("one")
    made, secret = central.keys.create(
        workspace.id, label="a", scopes=[Scope.READ], expires_at=NOW + timedelta(hours=1)
    )
    assert made.state(NOW) is KeyState.ACTIVE
    assert made.state(NOW + timedelta(hours=1)) is KeyState.EXPIRED
    revoked = central.keys.revoke(made.id)
    assert revoked is not None
    assert revoked.state(NOW) is KeyState.REVOKED
    assert central.keys.find(secret) == revoked
    assert central.keys.revoke(made.id) == revoked


def test_the_first_key_of_a_server(central: Central) -> None:
    made = central.keys.first("default", label="a")
    assert made is not None
    first, secret = made
    [workspace] = central.workspaces()
    assert (workspace.name, first.workspace, first.label) == ("default", workspace.id, "a")
    assert (first.scopes, first.expires_at) == (tuple(Scope), None)
    assert central.keys.find(secret) == first
    assert central.keys.first("default", label="b") is None
    assert central.keys.first("default", label="b", active_at=datetime.now(UTC)) is None
    central.keys.revoke(first.id)
    assert central.keys.first("default", label="b") is None
    again = central.keys.first("default", label="b", active_at=datetime.now(UTC))
    assert again is not None
    assert again[0].workspace == workspace.id
    assert [key.label for key in central.keys.list()] == ["a", "b"]
    assert central.workspaces() == [workspace]


def test_the_first_key_is_one_over_processes(
    home: str, tmp_path: Path, request: pytest.FixtureRequest, workspaces: Workspaces
) -> None:
    place = str(tmp_path / "server") if home == "sqlite" else request.getfixturevalue("postgres_url")
    command = [sys.executable, str(Path(__file__).with_name("first_key.py")), place]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        printed = [process.communicate()[0] for process in processes]
    [key] = workspaces.central.keys.list()
    found = workspaces.central.keys.find("".join(printed).strip())
    assert found == key


def test_another_workspace_cannot_revoke_a_key(central: Central) -> None:
    one, two = central.create_workspace("one"), central.create_workspace("two")
    made, secret = central.keys.create(one.id, label="a", scopes=[Scope.READ])
    assert central.keys.revoke(made.id, two.id) is None
    assert central.keys.revoke("key_unknown") is None
    found = central.keys.find(secret)
    assert found is not None
    assert found.state(NOW) is KeyState.ACTIVE
    assert central.keys.revoke(made.id, one.id) is not None


def test_the_last_use_is_noted_to_the_minute(central: Central) -> None:
    workspace = central.create_workspace("one")
    _, secret = central.keys.create(workspace.id, label="a", scopes=[Scope.READ])

    def known() -> ApiKey:
        found = central.keys.find(secret)
        assert found is not None
        return found

    assert known().last_used_at is None
    assert central.keys.note_use(known(), NOW)
    assert known().last_used_at == NOW
    assert not central.keys.note_use(known(), NOW + timedelta(seconds=59))
    assert known().last_used_at == NOW
    assert central.keys.note_use(known(), NOW + timedelta(seconds=60))
    assert known().last_used_at == NOW + timedelta(seconds=60)


def test_a_session_is_found_by_its_secret_until_it_ends(central: Central) -> None:
    made, _ = central.keys.create(central.create_workspace("one").id, label="CI", scopes=[Scope.READ])
    end = NOW + timedelta(hours=1)
    short = central.sessions.open(made.id, now=NOW, expires_at=end)
    long = central.sessions.open(made.id, now=NOW, expires_at=end + timedelta(hours=1))
    assert central.sessions.find(short, NOW) == made
    assert central.sessions.find(short, end) is None
    assert central.sessions.find(long, end) == made
    assert central.sessions.find("", NOW) is central.sessions.find("\ud800", NOW) is None
    central.keys.revoke(made.id)
    found = central.sessions.find(long, NOW)
    assert found is not None
    assert found.state(NOW) is KeyState.REVOKED
    # What has expired is dropped when another one is opened.
    central.sessions.open(made.id, now=end, expires_at=end + timedelta(hours=1))
    with central._database.read() as connection:
        rows = connection.execute("SELECT * FROM sessions").fetchall()
    assert len(rows) == 2
    assert not any(secret in str(rows) for secret in (short, long))
    central.sessions.close(long)
    assert central.sessions.find(long, NOW) is None
