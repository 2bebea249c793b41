"""The lock between processes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pytest_kaizen.store.sqlite.access import FileLock, LockTimeout


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock", 0), FileLock(tmp_path / "lock", 0)
    first.acquire()
    with pytest.raises(LockTimeout):
        second.acquire()
    first.release()
    second.acquire()
    first.close()
    second.close()


def test_it_waits_for_the_other(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock", 0), FileLock(tmp_path / "lock", 30)
    first.acquire()
    threading.Timer(0.1, first.release).start()
    second.acquire()
    second.close()
    first.close()


def test_a_stopped_clock_does_not_make_it_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests of users stop the clock, and make sleeping free."""
    first, second = FileLock(tmp_path / "lock", 0), FileLock(tmp_path / "lock", 0.05)
    first.acquire()
    for name in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, lambda: 0.0)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(LockTimeout):
        second.acquire()
    first.close()
    second.close()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from pytest_kaizen.store.sqlite.access import FileLock\n"
        "FileLock(Path(sys.argv[1]), 0).acquire() or print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    lock = FileLock(tmp_path / "lock", 5)
    with pytest.raises(LockTimeout):
        FileLock(tmp_path / "lock", 0).acquire()
    process.kill()
    process.communicate()
    lock.acquire()
    lock.close()
