"""A full disk loses nothing that was stored, and says so."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.models import Sample
from pytest_kaizen.store import Store


@pytest.fixture
def home() -> str:
    return "sqlite"


def fill(store: Store, make: Any) -> tuple[list[Sample], str]:
    """Store samples until one does not fit; return those that did and the message."""
    store.start_run(make.run())
    case = make.case()
    store.finish_case(case, begins=True)
    stored: list[Sample] = []
    for _ in range(1000):
        sample = make.sample(output="x" * 20_000)
        try:
            store.add_sample(case, sample)
        except StoreError as exc:
            return stored, str(exc)
        stored.append(sample)
    raise AssertionError("the disk never filled")


def expected(path: Path) -> str:
    return (
        f"{path}: disk full: this step was not stored, everything stored before is intact; "
        "free some space or choose another file with --kaizen-store"
    )


def test_a_database_that_may_not_grow(store: Store, raw: sqlite3.Connection, path: Path, make: Any) -> None:
    raw.execute("PRAGMA max_page_count = 200")
    stored, message = fill(store, make)
    assert message == expected(path)
    assert len(stored) > 10
    assert store.cases("run-1")[0].samples == stored
    raw.execute("PRAGMA max_page_count = 10000")
    one_more = make.sample()
    store.add_sample(make.case(), one_more)
    assert store.cases("run-1")[0].samples == [*stored, one_more]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB, where this process may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_disk(small_disk: Path, make: Any) -> None:
    path = small_disk / ".kaizen" / "kaizen.db"
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 500_000)
    with Store.open(path) as store:
        stored, message = fill(store, make)
        assert message == expected(path)
        assert len(stored) > 10
        assert store.cases("run-1")[0].samples == stored
        ballast.unlink()
        one_more = make.sample()
        store.add_sample(make.case(), one_more)
    with Store.open(path, readonly=True) as reader:
        assert reader.cases("run-1")[0].samples == [*stored, one_more]


def test_a_disk_that_is_full_from_the_start(small_disk: Path) -> None:
    path = small_disk / ".kaizen" / "kaizen.db"
    with suppress(OSError):
        (small_disk / "ballast").write_bytes(b"x" * 3_000_000)
    with pytest.raises(StoreError) as caught:
        Store.open(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "No space left on device" in str(caught.value) or "disk full" in str(caught.value)
