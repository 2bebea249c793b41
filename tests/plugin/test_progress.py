from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.models import Case, Sample, Span, SpanKind, Trace
from pytest_kaizen.plugin.keeper import EVERY_S, Progress

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def case(name: str, samples: int, cost: float | None) -> Case:
    spans = [
        Span(id="a", name="chat", started_at=NOW, cost_usd=cost),
        Span(id="b", name="judge", kind=SpanKind.JUDGE, started_at=NOW, cost_usd=cost),
    ]
    trace = Trace(id="t", name=name, created_at=NOW, spans=spans)
    return Case(id=name, run_id="r", task="greet", samples=[Sample(trace=trace)] * samples)


def test_a_line_now_and_then_with_what_was_spent() -> None:
    now = 0.0
    lines: list[str] = []
    progress = Progress(lines.append, clock=lambda: now)
    progress.count(case("a", 3, 0.25), 40)
    now = EVERY_S - 0.1
    progress.count(case("b", 3, None), 40)
    assert lines == []
    now = EVERY_S
    progress.count(case("c", 2, 0.5), 40)
    progress.count(case("d", 2, 0.5), 40)
    assert lines == ["kaizen: 3 of 40 cases, 8 samples, $3.50"]
    now = 2 * EVERY_S
    progress.count(case("a", 1, None), 40)
    assert lines[1:] == ["kaizen: 4 of 40 cases, 11 samples, $5.50"]


def test_what_nothing_was_spent_on_names_no_cost() -> None:
    now = 0.0
    lines: list[str] = []
    progress = Progress(lines.append, clock=lambda: now)
    now = EVERY_S
    progress.count(case("a", 1, None), 2)
    assert lines == ["kaizen: 1 of 2 cases, 1 sample"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(("options", "terminal", "said"), [([], True, 3), (["-q"], True, 0), ([], False, 0)])
def test_it_is_for_people_who_watch(suite: Suite, options: list[str], terminal: bool, said: int) -> None:
    suite.add_to_conftest("""
        import pytest_kaizen.plugin.keeper as progress

        progress.EVERY_S = 0
    """)
    suite.write("""
        import pytest

        @pytest.mark.kaizen("greet", samples=2)
        @pytest.mark.parametrize("number", range(3))
        def test_it(kaizen, number):
            kaizen.check("fine", True)
    """)
    ours, theirs = os.openpty() if terminal else os.pipe()
    command = [sys.executable, "-m", "pytest", "--kaizen", "-p", "no:asyncio", *options]
    # A terminal's buffer is small: read while the other side writes.
    process = subprocess.Popen(
        command, cwd=suite.root, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL
    )
    os.close(theirs)
    text = b""
    with suppress(OSError):  # how a terminal says that the other side is closed
        while chunk := os.read(ours, 4096):
            text += chunk
    os.close(ours)
    assert process.wait() == 0, text.decode()
    assert len(re.findall(rb"kaizen: \d of 3 cases, \d samples", text)) == said, text.decode()
