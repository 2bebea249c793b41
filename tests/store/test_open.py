"""Opening a store: what is made, and what is refused with place and cure."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.store import Store, migrations
from pytest_kaizen.store.sqlite.access import FileLock


@pytest.fixture
def home() -> str:
    return "sqlite"


def message(path: Path, **options: Any) -> str:
    with pytest.raises(StoreError) as caught:
        Store.open(path, **options)
    assert caught.value.path == path
    return str(caught.value)


def test_a_new_store_keeps_its_folder_out_of_version_control(path: Path) -> None:
    Store.open(path).close()
    assert (path.parent / ".gitignore").read_text() == "*\n"
    assert sorted(file.name for file in path.parent.iterdir()) == [
        ".gitignore",
        "kaizen.db",
        "kaizen.db.lock",
    ]


def test_a_folder_that_was_there_is_left_as_it_is(tmp_path: Path) -> None:
    Store.open(tmp_path / "mine.db").close()
    assert not (tmp_path / ".gitignore").exists()
    (tmp_path / ".kaizen").mkdir()
    Store.open(tmp_path / ".kaizen" / "kaizen.db").close()
    assert (tmp_path / ".kaizen" / ".gitignore").read_text() == "*\n"


def test_an_edited_gitignore_stays(path: Path) -> None:
    path.parent.mkdir()
    (path.parent / ".gitignore").write_text("mine\n")
    Store.open(path).close()
    assert (path.parent / ".gitignore").read_text() == "mine\n"


def test_it_is_a_log_database_synced_at_checkpoints_with_its_references_checked(
    raw: sqlite3.Connection,
) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys")
    facts = [raw.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    assert facts == ["wal", 1, 1]


def test_reading_makes_nothing(path: Path) -> None:
    assert message(path, readonly=True) == f"{path}: there is no store here yet; `pytest --kaizen` makes one"
    assert not path.parent.exists()


def test_a_directory_in_the_way(path: Path) -> None:
    path.mkdir(parents=True)
    expected = f"{path}: is a folder, not a database; remove it or choose another file with --kaizen-store"
    assert message(path) == expected
    assert message(path, readonly=True) == expected


def test_a_file_where_the_folder_should_be(path: Path) -> None:
    path.parent.write_text("")
    assert message(path).startswith(f"{path}: not writable: {path.parent}: File exists; make the folder")


@pytest.mark.parametrize("readonly", [False, True])
def test_not_a_database(path: Path, readonly: bool) -> None:
    path.parent.mkdir()
    path.write_text("notes on prompts\n" * 100)
    assert message(path, readonly=readonly) == (
        f"{path}: is not a database; remove it or choose another file with --kaizen-store"
    )
    assert path.read_text() == "notes on prompts\n" * 100


@pytest.mark.parametrize("readonly", [False, True])
def test_the_database_of_another_program(path: Path, readonly: bool) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (name)")
    connection.close()
    before = path.read_bytes()
    assert message(path, readonly=readonly) == (
        f"{path}: is a database of another program; choose another file with --kaizen-store"
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize("readonly", [False, True])
def test_a_store_of_a_newer_release(path: Path, readonly: bool) -> None:
    Store.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    known = len(migrations.MIGRATIONS)
    assert message(path, readonly=readonly) == (
        f"{path}: has store version 99, and this pytest-kaizen knows versions up to {known}; "
        "upgrade pytest-kaizen or choose another file with --kaizen-store"
    )


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with Store.open(path, readonly=True) as store:
        assert store.runs() == []


def test_a_damaged_store(path: Path, make: Any) -> None:
    with Store.open(path) as store:
        store.start_run(make.run(notes=["x" * 50_000]))
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with Store.open(path, readonly=True) as store, pytest.raises(StoreError) as caught:
        store.runs()
    assert str(caught.value).startswith(f"{path}: the database is damaged (")
    assert not caught.value.transient


def test_a_lock_that_another_process_keeps(path: Path, make: Any) -> None:
    with Store.open(path, timeout=0.05) as store:
        other = FileLock(path.with_name("kaizen.db.lock"), 0)
        other.acquire()
        expected = (
            f"{path}: locked by another process for more than 0.05 s; wait until it has ended or "
            "choose another file with --kaizen-store"
        )
        with pytest.raises(StoreError) as caught:
            store.start_run(make.run())
        assert str(caught.value) == expected
        assert caught.value.transient
        assert message(path, timeout=0.05) == expected
        assert store.runs() == []
        other.release()
        store.start_run(make.run())
        other.close()


def test_another_program_that_keeps_the_database_itself_locked(path: Path, make: Any) -> None:
    with Store.open(path, timeout=0.05) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"locked by another process for more than 0\.05 s"):
            store.start_run(make.run())
        other.rollback()
        other.close()
        store.start_run(make.run())
        assert store.run("last").id == "run-1"


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that any user can reach, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def open_as_nobody(path: Path, *, readonly: bool, mode: int = 0o555) -> str:
    """What a process says that may not write to the folder of a store: the newest run or the error."""
    code = (
        "import os, sys; from pathlib import Path\n"
        "from pytest_kaizen.store import Store; from pytest_kaizen.errors import StoreError\n"
        # The superuser may write everywhere.
        "os.chdir(sys.argv[1]); os.geteuid() or os.setuid(65534)\n"
        "try: print(Store.open(Path('store/kaizen.db'), readonly=sys.argv[2] == 'True').run('last').id)\n"
        "except StoreError as exc: print(exc)\n"
    )
    for file in path.parent.iterdir():
        file.chmod(0o444)
    path.parent.chmod(mode)
    command = [sys.executable, "-c", code, str(path.parent.parent), str(readonly)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        path.parent.chmod(0o755)
    assert done.stderr == ""
    return done.stdout.removesuffix("\n")


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_folder_that_cannot_be_written(public: Path, make: Any) -> None:
    path = public / "store" / "kaizen.db"
    with Store.open(path) as store:
        store.start_run(make.run())
    assert open_as_nobody(path, readonly=False) == (
        "store/kaizen.db: not writable: store/kaizen.db.lock: Permission denied; make the folder writable or "
        "choose another file with --kaizen-store"
    )
    assert open_as_nobody(path, readonly=True) == "run-1"
    for readonly in (False, True):
        assert open_as_nobody(path, readonly=readonly, mode=0o000) == (
            "store/kaizen.db: not writable: store/kaizen.db: Permission denied; make the folder writable "
            "or choose another file with --kaizen-store"
        )


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_log_that_a_reader_cannot_take_in_is_not_passed_over(public: Path, make: Any) -> None:
    """A copy of a store whose process was killed: without its log it would show less than there is."""
    original, copy = public / "kaizen.db", public / "store" / "kaizen.db"
    copy.parent.mkdir()
    with Store.open(original) as store:
        store.start_run(make.run())
        for name in ("kaizen.db", "kaizen.db-wal"):
            shutil.copyfile(original.with_name(name), copy.with_name(name))
    assert open_as_nobody(copy, readonly=True) == (
        "store/kaizen.db: cannot be opened: unable to open database file; make the file and its folder "
        "readable and writable or choose another file with --kaizen-store"
    )
    with Store.open(copy, readonly=True) as reader:
        assert reader.run("last").id == "run-1"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions bind no superuser")
def test_a_database_file_that_cannot_be_written(path: Path) -> None:
    Store.open(path).close()
    path.chmod(0o444)
    assert "not writable" in message(path)
