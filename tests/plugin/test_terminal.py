from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

FAILED = "greet: polite 0.50 [0.09, 0.91] >= 0.90: fail over 2 samples"
HELD = "greet: pass_rate 1.00 [0.34, 1.00] >= 0.50: pass over 2 samples"


@pytest.fixture
def gated(suite: Suite) -> Suite:
    suite.write(
        "tasks: {greet: {gate: [{metric: polite, min: 0.9}, {metric: pass_rate, min: 0.5}]}}", "kaizen.yaml"
    )
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet")
        @pytest.mark.parametrize("number", range(2))
        def test_it(kaizen, number):
            kaizen.score("polite", 0.5, reason="so so")
    """)
    return suite


def test_a_gate_has_its_outcome_for_a_colour(gated: Suite) -> None:
    lines = gated.run("--color=yes", code=1)
    assert any(line.startswith("\x1b[31m" + FAILED) for line in lines)
    assert any(line.startswith("\x1b[32m" + HELD) for line in lines)


def test_quiet_leaves_what_failed(gated: Suite) -> None:
    lines = gated.run("-q", code=1)
    assert FAILED in lines
    assert HELD not in lines
    header = next(line for line in lines if line.startswith("task "))
    assert header.split() == ["task", "cases", "samples", "score", "prompt", "gate"]
    lines = gated.run("-qq", code=1)
    assert FAILED in lines
    assert not any(line.startswith("task ") for line in lines)
    assert gated.last_line == f"kaizen: FAILED on a whole task: {FAILED}"


def test_very_verbose_shows_every_sample(gated: Suite) -> None:
    shown = "    polite: 0.50 (sdk): so so"
    assert shown not in gated.run("-v", code=1)
    lines = gated.run("-vv", code=1)
    assert lines.count(shown) == 2
    assert "greet: test_it.py::test_it[1] passed" in lines
    assert sum(line.startswith("  sample 0 passed, trace ") for line in lines) == 2
    assert lines.index(shown) < next(i for i, line in enumerate(lines) if line.startswith("task "))


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(("columns", "fits"), [(200, True), (70, False)])
def test_the_table_keeps_to_the_width_of_the_terminal(gated: Suite, columns: int, fits: bool) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--kaizen", "-p", "no:asyncio"],
        cwd=gated.root,
        env={**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1"},
        stdout=theirs,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
    )
    os.close(theirs)
    raw = b""
    with suppress(OSError):  # how a terminal says that the other side is closed
        while chunk := os.read(ours, 4096):
            raw += chunk
    os.close(ours)
    text = raw.decode()
    assert process.wait() == 1, text
    assert "\x1b[3" not in text
    header = next(line for line in text.splitlines() if line.startswith("task "))
    assert ("p50/p95" in header.split()) is fits
    assert ("(no room for: " in text) is not fits
    assert len(header.rstrip()) <= columns
