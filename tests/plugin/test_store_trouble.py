"""A store that cannot be opened, and one that fails in the middle of a run."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.store import Store

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

TEST = """
    import pytest

    @pytest.mark.kaizen("greet")
    @pytest.mark.kaizen_threshold("calls", max=1)
    @pytest.mark.parametrize("n", range(6))
    def test_it(ask, n):
        ask(f"call {n} " + "x" * 20_000)
"""


def refused(suite: Suite, *parts: str) -> None:
    suite.run(code=4)
    for part in parts:
        assert part in suite.errors
    assert suite.llm.requests == []
    assert "INTERNALERROR" not in suite.text


def inputs(path: Path) -> list[str]:
    """What the stored traces asked, the oldest first."""
    with Store.open(path, readonly=True) as store:
        return [str(trace.input).split(" x")[0] for trace in reversed(store.traces())]


def test_a_file_where_the_folder_should_be(suite: Suite) -> None:
    suite.write(TEST)
    suite.write("not a folder", ".kaizen")
    refused(suite, f"{suite.database}: not writable: ", "--kaizen-store")
    assert (suite.root / ".kaizen").read_text() == "not a folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write in a read-only folder")
def test_a_read_only_folder(suite: Suite) -> None:
    suite.write(TEST)
    (suite.root / ".kaizen").mkdir(mode=0o555)
    refused(suite, f"{suite.database}: not writable: ", "--kaizen-store")


def test_a_folder_where_the_file_should_be(suite: Suite) -> None:
    suite.write(TEST)
    suite.database.mkdir(parents=True)
    refused(suite, f"{suite.database}: is a folder, not a database; remove it or choose another file")


def test_a_file_that_is_no_database(suite: Suite) -> None:
    suite.write(TEST)
    suite.write("hello, this is text, and quite long at that. " * 40, ".kaizen/kaizen.db")
    refused(suite, f"{suite.database}: is not a database; remove it or choose another file")


def test_a_store_of_a_newer_release(suite: Suite) -> None:
    suite.write("def test_it(ask):\n    ask('old')")
    suite.run(passed=1)
    with sqlite3.connect(suite.database) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    suite.llm.requests.clear()
    before = suite.database.read_bytes()
    suite.run(code=4)
    assert "has store version 999, and this pytest-kaizen knows versions up to " in suite.errors
    assert "upgrade pytest-kaizen or choose another file with --kaizen-store" in suite.errors
    assert suite.database.read_bytes() == before


@pytest.fixture
def filling_up(suite: Suite) -> Suite:
    """A suite whose disk is full from the fourth sample on, as far as SQLite can tell."""
    suite.add_to_conftest("""
        @pytest.fixture(autouse=True)
        def disk(request, n):
            from pytest_kaizen.plugin.session import KAIZEN
            connection = request.config.stash[KAIZEN]._store._database._connection
            if n == 3:
                pages = connection.execute("PRAGMA page_count").fetchone()[0]
                connection.execute(f"PRAGMA max_page_count = {pages + 1}")
            if n == 5 and "--freed" in request.config.invocation_params.args:
                connection.execute("PRAGMA max_page_count = 1000000")

        def pytest_addoption(parser):
            parser.addoption("--freed", action="store_true")
    """)
    suite.write(TEST)
    return suite


def test_a_disk_that_fills_up_changes_no_verdict_and_loses_nothing_stored(filling_up: Suite) -> None:
    filling_up.run(passed=6, code=0)
    assert filling_up.table["greet"]["cases"] == "6"
    (line,) = [line for line in filling_up.result.outlines if "NOT STORED" in line]
    assert "NOT STORED: some samples of this run could not be written: " in line
    assert f"{filling_up.database}: disk full: " in line
    assert "free some space or choose another file with --kaizen-store" in line
    assert inputs(filling_up.database) == ["call 0", "call 1", "call 2"]


def test_a_disk_that_has_room_again_gets_what_was_owed(filling_up: Suite) -> None:
    filling_up.run("--freed", passed=6, code=0)
    assert "NOT STORED" not in filling_up.text
    assert inputs(filling_up.database) == [f"call {n}" for n in range(6)]
    assert filling_up.stored_run.status == "completed"
    assert {case.outcome for case in filling_up.cases.values()} == {"passed"}


def test_a_later_run_on_a_disk_with_room_works(filling_up: Suite) -> None:
    filling_up.run(passed=6, code=0)
    filling_up.write(TEST.replace("range(6)", "range(2)"))
    filling_up.run(passed=2, code=0)
    assert "NOT STORED" not in filling_up.text
    with filling_up.store as store:
        newest, _ = store.runs()
        assert len(store.traces(run_id=newest.id)) == 2
        assert len(store.traces()) == 5


SLOW = """
import time
import pytest

@pytest.mark.parametrize("n", range(200))
def test_it(ask, n):
    ask(f"call {n}")
    time.sleep(0.01)
"""


def start(suite: Suite, *args: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "--kaizen", "-q", "-p", "kaizen", *args]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.Popen(command, cwd=suite.root, env=environment, stdout=subprocess.DEVNULL)


def test_two_runs_at_once_on_one_store(suite: Suite) -> None:
    suite.write(SLOW.replace("200", "20"))
    first, second = start(suite), start(suite)
    assert (first.wait(300), second.wait(300)) == (0, 0)
    with suite.store as store:
        runs = store.runs()
        assert [run.status for run in runs] == ["completed", "completed"]
        for run in runs:
            assert len(store.traces(run_id=run.id)) == 20
            assert {case.outcome for case in store.cases(run.id)} == {"passed"}


def test_a_killed_run_leaves_everything_up_to_the_sample_in_flight(suite: Suite) -> None:
    suite.write(SLOW)
    suite.llm.reply("late", when="call 11", latency_s=900)
    process = start(suite)
    deadline = time.monotonic() + 300
    while len(suite.llm.requests) < 12 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait(300) == -signal.SIGKILL
    asked = [request.last_user_text for request in suite.llm.requests]
    assert len(asked) == 12
    stored = inputs(suite.database)
    assert stored == asked[:-1]
    assert suite.stored_run.status == "running"

    suite.write(SLOW.replace("200", "2"))
    suite.run(passed=2, code=0)
    with suite.store as store:
        assert [run.status for run in store.runs()] == ["completed", "running"]
        assert len(store.traces(limit=1000)) == len(stored) + 2
