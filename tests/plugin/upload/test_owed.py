"""What was not sent is owed, goes later, and is there once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.plugin.conftest import Suite
    from tests.plugin.upload.conftest import Collector, FakeCT

MANY = """
    import pytest

    @pytest.mark.kaizen("support", samples=20)
    @pytest.mark.parametrize("ticket", ["login", "refund"])
    def test_it(kaizen, ticket):
        kaizen.case(input={"ticket": ticket}, output=f"about {ticket}")
        kaizen.score("polite", 0.75)
"""
FEW = MANY.replace("samples=20", "samples=2")


def sync(suite: Suite, *arguments: str) -> int:
    return main(["--root", str(suite.root), "sync", *arguments])


def ids(ct: FakeCT) -> list[str]:
    return [entry.metadata["kaizen_id"] for entry in ct.feedback if entry.metadata]


def traces(suite: Suite) -> set[str]:
    with suite.store as store:
        return {trace.id for trace in store.traces(limit=100)}


@pytest.fixture(autouse=True)
def project(suite: Suite) -> None:
    suite.write("backends: {kaizen-ct: {}}", "kaizen.yaml")


def test_the_next_run_sends_what_an_earlier_one_owes(suite: Suite, ct: FakeCT) -> None:
    suite.write(FEW)
    suite.add_to_conftest("""
        import time
        from pathlib import Path
        from pytest_kaizen.store import Store

        @pytest.fixture(scope="session", autouse=True)
        def until_it_was_refused():
            yield
            deadline = time.monotonic() + 120
            with Store.open(Path(".kaizen/kaizen.db"), readonly=True) as store:
                while not store.outbox.state("kaizen-ct").reason and time.monotonic() < deadline:
                    time.sleep(0.01)
    """)
    ct.down = 503
    suite.run("--kaizen-upload-timeout=0.2", passed=2, code=0)
    earlier = suite.stored_run.id
    assert "kaizen: kaizen-ct: 5 owed, 0 sent" in suite.text
    assert "503" in suite.text
    suite.add_to_conftest("")
    ct.down = None
    with suite.store as store:
        pause = store.outbox.state("kaizen-ct").next_at
    assert pause is not None
    while time.time() < pause.timestamp():
        time.sleep(0.05)
    suite.run(passed=2, code=0)
    assert "kaizen: kaizen-ct: 10 sent" in suite.result.outlines
    runs = [entry.metadata["run_id"] for entry in ct.feedback if entry.metadata]
    assert runs == [earlier] * 4 + [suite.stored_run.id] * 4


def test_what_is_refused_is_set_aside_with_its_reason(
    suite: Suite, ct: FakeCT, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.write(FEW)
    ct.refuse = {"about refund"}
    suite.run(passed=2, code=0)
    assert len(ct.feedback) == 2
    (line,) = [line for line in suite.result.outlines if "set aside" in line]
    assert line.startswith("kaizen: kaizen-ct: 3 sent, 2 set aside: POST http://")
    assert line.endswith("/api/v1/feedback: 422: this output is not wanted")
    asked = len(ct.requests)
    assert sync(suite) == 0
    assert len(ct.requests) == asked
    assert "kaizen-ct: nothing owed, 2 set aside: " in capsys.readouterr().out

    assert sync(suite, "--status", "--set-aside") == 2
    assert sync(suite, "--status") == 0
    assert "2 set aside (to send that again: `kaizen sync --set-aside`)\n" in capsys.readouterr().out
    assert sync(suite, "--set-aside") == 0
    again = capsys.readouterr()
    assert again.err.splitlines()[0] == "2 set aside, to be sent again"
    assert again.out.startswith("kaizen-ct: nothing owed, 2 set aside: ")
    ct.refuse = set()
    assert sync(suite, "--set-aside") == 0
    assert capsys.readouterr().out == "kaizen-ct: 2 sent\n"
    assert len(ct.feedback) == 4
    assert len(set(ids(ct))) == 4
    assert sync(suite, "--set-aside") == 0
    assert capsys.readouterr() == ("kaizen-ct: nothing owed\n", "nothing is set aside\n")


def test_killed_in_the_midst_and_then_everything_once(suite: Suite, ct: FakeCT) -> None:
    suite.write(MANY)
    ct.holds = lambda: len(ct.feedback) >= 10
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--kaizen", "-q", "--kaizen-upload-timeout=600"],
        cwd=suite.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_kaizen.plugin"},
    )
    wait_until(lambda: len(ct.feedback) >= 10)
    wait_until(lambda: len(traces(suite)) == 40)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with suite.store as store:
        state = store.outbox.state("kaizen-ct")
    stored = traces(suite)
    assert state.owed > 0
    assert 10 <= len(ct.feedback) < len(stored)
    ct.holds = lambda: False
    assert sync(suite) == 0
    assert sorted(ids(ct)) == sorted(stored)


def test_what_was_received_without_anybody_knowing_counts_once(suite: Suite, ct: FakeCT) -> None:
    """The server stored it, and its answer was lost."""
    suite.write(FEW)
    ct.lose_answers = 3
    suite.run("--kaizen-upload-timeout=30", passed=2, code=0)
    while sync(suite) != 0:
        pass
    assert len(ids(ct)) == len(set(ids(ct))) == 4
    keys = [call.headers["idempotency-key"] for call in ct.requests if call.path.endswith("/feedback")]
    assert len(keys) > len(set(keys)) == 4


def test_several_failures_of_several_kinds_lose_nothing(suite: Suite, ct: FakeCT) -> None:
    suite.write(MANY)
    suite.run("--kaizen-upload-timeout=0", passed=2, code=0)
    for status in (404, 403, 401):
        ct.down = status
        assert sync(suite) == 1
    ct.down = None
    assert sync(suite) == 0
    stored = traces(suite)
    assert sorted(ids(ct)) == sorted(stored)
    assert len(stored) == 40


def test_no_secret_in_rows_or_on_the_way(
    suite: Suite, ct: FakeCT, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    canaries = {"SERVICE_TOKEN": "canary-environ-a81b44", "PATTERN": "CUST-4471993"}
    monkeypatch.setenv("SERVICE_TOKEN", canaries["SERVICE_TOKEN"])
    suite.write("redact: ['CUST-[0-9]+']\nbackends: {kaizen-ct: {}, otlp: {}}", "kaizen.yaml")
    suite.write(f"""
        import pytest

        SECRETS = "{canaries["SERVICE_TOKEN"]} CUST-4471993 secret-key-of-the-suite"

        @pytest.mark.kaizen("support")
        def test_it(kaizen, ask):
            ask("use " + SECRETS)
            kaizen.case(input={{"ticket": SECRETS}}, output="with " + SECRETS)
            kaizen.score("polite", 0.5, reason="because of " + SECRETS)
            with kaizen.span("tool", kind="TOOL"):
                pass
            raise ValueError(SECRETS)
    """)
    suite.llm.reply("the answer is CUST-4471993")
    suite.run(failed=1, code=1)
    assert "kaizen: otlp: 1 sent" in suite.result.outlines
    sent = ct.text.replace("ct-key", "") + collector.text
    assert "about" in sent or "with [" in sent
    database = b"".join(path.read_bytes() for path in suite.database.parent.iterdir() if path.is_file())
    for secret in (*canaries.values(), "secret-key-of-the-suite", "ct-key"):
        assert secret not in sent
        assert secret.encode() not in database


def test_status_says_what_is_owed_and_sends_nothing(
    suite: Suite, ct: FakeCT, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.write(FEW)
    suite.run("--kaizen-upload-timeout=0", passed=2, code=0)
    asked = len(ct.requests)
    capsys.readouterr()
    assert sync(suite, "--status") == 0
    with suite.store as store:
        owed = store.outbox.state("kaizen-ct").owed
    assert capsys.readouterr().out.startswith(f"kaizen-ct: {owed} owed, {5 - owed} sent, 0 set aside")
    assert sync(suite, "--status", "--json") == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["backend"], shown["owed"]) == ("kaizen-ct", owed)
    assert len(ct.requests) == asked


@pytest.mark.parametrize("missing", ["key", "server"])
def test_sync_says_why_something_stays(
    suite: Suite,
    ct: FakeCT,
    missing: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suite.write(FEW)
    ct.down = 401
    suite.run(passed=2, code=0)
    if missing == "key":
        monkeypatch.delenv("KAIZEN_API_KEY")
    capsys.readouterr()
    assert sync(suite) == 1
    out = capsys.readouterr().out
    assert out.startswith("kaizen-ct: 5 owed, 0 sent")
    assert ("no key: set KAIZEN_API_KEY" if missing == "key" else "401: come back later") in out
    capsys.readouterr()
    assert sync(suite, "--json") == 1
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["owed"], shown["sent"]) == (5, 0)
    assert shown["why"]


def test_watching_sends_what_comes(suite: Suite, ct: FakeCT) -> None:
    suite.write(FEW)
    suite.run("--kaizen-upload-timeout=0", passed=2, code=0)
    watch = subprocess.Popen(
        [sys.executable, "-m", "pytest_kaizen.cli", "sync", "--watch"],
        cwd=suite.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(lambda: len(ct.feedback) == 4)
    suite.run("--kaizen-upload-timeout=0", passed=2, code=0)
    wait_until(lambda: len(ct.feedback) == 8)
    watch.send_signal(signal.SIGINT)
    output, _ = watch.communicate(timeout=60)
    assert watch.returncode == 130
    assert "Traceback" not in output
    assert "kaizen-ct: " in output


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_a_store_nothing_is_made(suite: Suite, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ((), ("--status",)):
        assert sync(suite, *arguments) == 1
        assert "there is no store here yet" in capsys.readouterr().err
    assert not suite.database.exists()
