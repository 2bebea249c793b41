"""Secrets in the store: what lies on the disk, who can open it, and what is shown of it."""

from __future__ import annotations

import base64
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_kaizen.errors import ConfigError, StoreError
from pytest_kaizen.store import Store, sealed
from pytest_kaizen.store.sealed import is_masked, masked
from pytest_kaizen.store.workspaces import Workspaces

SECRET = "ls-0123456789-geheim-Grüße"


def a_key(byte: int = 1) -> str:
    return base64.b64encode(bytes([byte]) * 32).decode()


@pytest.fixture(autouse=True)
def environment(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file holds the key, save on PostgreSQL, where no file can."""
    monkeypatch.delenv(sealed.KEY_VARIABLE, raising=False)
    if home == "postgresql":
        monkeypatch.setenv(sealed.KEY_VARIABLE, a_key())


def opened(store: Store, name: str = "apiKey", owner: str = "langsmith") -> str | None:
    secret = store.sealed.open("integration", owner, name)
    return None if secret is None else secret.get_secret_value()


def test_a_secret_is_stored_replaced_and_forgotten(store: Store) -> None:
    assert opened(store) is None
    store.sealed.seal("integration", "langsmith", "apiKey", "first")
    store.sealed.seal("integration", "langsmith", "apiKey", SECRET)
    store.sealed.seal("integration", "mlflow", "token", "other")
    store.sealed.seal("task", "langsmith", "apiKey", "a task's")
    store.sealed.seal("integration", "langsmith", "second", "2")
    assert opened(store) == SECRET
    store.sealed.forget("integration", "langsmith", "second")
    assert (opened(store, "second"), opened(store)) == (None, SECRET)
    store.sealed.forget("integration", "langsmith")
    assert opened(store) is None
    assert opened(store, "token", "mlflow") == "other"
    other = store.sealed.open("task", "langsmith", "apiKey")
    assert other is not None
    assert other.get_secret_value() == "a task's"
    assert "a task's" not in repr(other)


@pytest.mark.parametrize("given", [None, "", "ls-0****rüße", "****"])
def test_what_says_nothing_keeps_the_stored_one(store: Store, given: str | None) -> None:
    store.sealed.keep("integration", "langsmith", "apiKey", given)
    assert opened(store) is None
    store.sealed.keep("integration", "langsmith", "apiKey", SECRET)
    store.sealed.keep("integration", "langsmith", "apiKey", given)
    assert opened(store) == SECRET
    store.sealed.keep("integration", "langsmith", "apiKey", "a-new-secret")
    assert opened(store) == "a-new-secret"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("12345678901234567", "1234****4567"),
        ("1234567890123456", "****"),
        ("passwort1", "****"),
        ("", "****"),
        (SECRET, "ls-0****rüße"),
    ],
)
def test_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert is_masked(shown)
    assert not is_masked(text)


def test_what_is_shown_is_masked(store: Store) -> None:
    store.sealed.seal("integration", "mlflow", "token", SECRET)
    store.sealed.seal("integration", "mlflow", "password", "short")
    assert store.sealed.shown("integration", "mlflow") == {"password": "****", "token": "ls-0****rüße"}
    assert store.sealed.shown("integration", "langsmith") == {}


def files_of(store: Store) -> bytes:
    """All that lies on the disk of a store, whichever home it has."""
    path = store._database.path
    if isinstance(path, Path):
        return b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
    with store._database.read() as connection:
        return repr(connection.execute("SELECT kind, owner, name, token FROM sealed").fetchall()).encode()


def test_the_secret_is_not_on_the_disk(store: Store) -> None:
    store.sealed.seal("integration", "mlflow", "token", SECRET)
    there = files_of(store)
    assert b"gAAAA" in there
    for form in (SECRET.encode(), base64.b64encode(SECRET.encode()), b"geheim"):
        assert form not in there


def test_a_secret_that_was_moved_to_another_row_does_not_open(store: Store) -> None:
    store.sealed.seal("integration", "mlflow", "token", SECRET)
    with store._database.write() as connection:
        connection.execute("UPDATE sealed SET owner = 'langsmith'")
    with pytest.raises(
        StoreError, match="the token of integration 'langsmith' was encrypted with another key"
    ):
        opened(store, "token", "langsmith")
    assert store.sealed.shown("integration", "langsmith") == {"token": "****"}


def test_keys_of_the_environment_are_replaced_one_by_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = a_key(2), base64.urlsafe_b64encode(b"\xff" * 32).decode()
    monkeypatch.setenv(sealed.KEY_VARIABLE, old)
    store.sealed.seal("integration", "mlflow", "token", SECRET)
    monkeypatch.setenv(sealed.KEY_VARIABLE, f"{new}, {old}")
    assert opened(store, "token", "mlflow") == SECRET
    store.sealed.seal("integration", "mlflow", "token", SECRET)
    monkeypatch.setenv(sealed.KEY_VARIABLE, new)
    assert opened(store, "token", "mlflow") == SECRET
    monkeypatch.setenv(sealed.KEY_VARIABLE, old)
    with pytest.raises(StoreError, match="another key: bring back the key") as caught:
        opened(store, "token", "mlflow")
    assert SECRET not in str(caught.value)
    assert store.sealed.shown("integration", "mlflow") == {"token": "****"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("secret", "KAIZEN_SECRET_KEY: is not 32 bytes in base64 (it has 6 characters, 44 are right)"),
        (a_key()[4:], "it has 40 characters"),
        (f"{a_key()},", "KAIZEN_SECRET_KEY: key 2 of 2 is not 32 bytes in base64 (it has 0 characters"),
        ("ü" * 44, "it has 44 characters"),
    ],
)
def test_a_malformed_key_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv(sealed.KEY_VARIABLE, value)
    with pytest.raises(ConfigError) as caught:
        store.sealed.seal("integration", "mlflow", "token", SECRET)
    assert said in str(caught.value)
    assert "openssl rand -base64 32" in str(caught.value)
    assert value not in str(caught.value)


def test_postgresql_without_a_key_says_what_to_do(
    home: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(sealed.KEY_VARIABLE, raising=False)
    if home == "sqlite":
        store.sealed.seal("integration", "mlflow", "token", SECRET)
        return
    with pytest.raises(ConfigError, match=r"^set KAIZEN_SECRET_KEY: .* every server, worker and command"):
        store.sealed.seal("integration", "mlflow", "token", SECRET)


class TestFile:
    """The key in a file beside the store."""

    @pytest.fixture
    def home(self) -> str:
        return "sqlite"

    def test_it_is_made_when_it_is_first_needed(self, store: Store, path: Path) -> None:
        file = path.parent / sealed.KEY_FILE_NAME
        assert opened(store) is None
        assert not file.exists()
        store.sealed.seal("integration", "langsmith", "apiKey", SECRET)
        made = file.read_bytes()
        if os.name == "posix":
            assert file.stat().st_mode & 0o777 == 0o600
            assert file.stat().st_nlink == 1
        with Store.open(path) as again:
            assert opened(again) == SECRET
        assert file.read_bytes() == made
        assert not list(path.parent.glob(".kaizen-secret*"))
        assert (path.parent / ".gitignore").read_text(encoding="utf-8") == "*\n"

    def test_all_that_make_it_at_once_use_one(self, tmp_path: Path) -> None:
        place = tmp_path / "a.db"
        with ThreadPoolExecutor(8) as pool:
            ciphers = list(pool.map(lambda _: sealed.cipher_for(place, make=True), range(8)))
        token = ciphers[0].encrypt(b"x")
        assert [cipher.decrypt(token) for cipher in ciphers] == [b"x"] * 8

    def test_workspaces_of_a_server_share_it(self, workspaces: Workspaces, tmp_path: Path) -> None:
        for name in ("a", "b"):
            store = workspaces.get(workspaces.central.create_workspace(name).id).store
            store.sealed.seal("integration", "mlflow", "token", name)
            assert opened(store, "token", "mlflow") == name
        assert [file.name for file in (tmp_path / "server").glob("*.key")] == [sealed.KEY_FILE_NAME]

    def test_what_it_sealed_opens_after_the_variable_is_set(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.sealed.seal("integration", "langsmith", "apiKey", SECRET)
        monkeypatch.setenv(sealed.KEY_VARIABLE, a_key())
        assert opened(store) == SECRET

    def test_one_that_is_gone(self, store: Store, path: Path) -> None:
        store.sealed.seal("integration", "langsmith", "apiKey", SECRET)
        (path.parent / sealed.KEY_FILE_NAME).unlink()
        with pytest.raises(
            StoreError, match=r"kaizen-secret\.key is gone; put it back, or set KAIZEN_SECRET_KEY"
        ):
            opened(store)
        assert not (path.parent / sealed.KEY_FILE_NAME).exists()

    @pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
    def test_one_that_others_may_read(self, store: Store, path: Path) -> None:
        store.sealed.seal("integration", "langsmith", "apiKey", SECRET)
        (path.parent / sealed.KEY_FILE_NAME).chmod(0o640)
        with pytest.raises(
            StoreError, match=r"others may read the key for secrets \(mode 640\); `chmod 600` it"
        ):
            opened(store)

    def test_one_that_holds_something_else(self, store: Store, path: Path) -> None:
        file = path.parent / sealed.KEY_FILE_NAME
        file.write_text("hunter2\n", encoding="utf-8")
        file.chmod(0o600)
        with pytest.raises(StoreError, match="is to hold a key, 32 bytes in base64, and does not") as caught:
            store.sealed.seal("integration", "langsmith", "apiKey", SECRET)
        assert "hunter2" not in str(caught.value)

    def test_without_cryptography(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
        with pytest.raises(
            StoreError, match=r"which needs cryptography.fernet: pip install .pytest-kaizen\[server\]"
        ):
            store.sealed.seal("integration", "langsmith", "apiKey", SECRET)
        assert opened(store) is None
