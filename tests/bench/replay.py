"""What a recorded call costs, beside other recorders.

``python tests/bench/replay.py [--rounds N] [--tests N]``

A suite of tests that make one call each through anthropic's SDK to a scripted server in a process of
its own. It is run live, live once more (the A/A control: what no difference looks like), and replayed by
pytest-recording, by cassetter (as it comes, where it does not look at bodies, and told to compare
them) and by ``--kaizen --kaizen-record=replay``, which also scores and stores every test. Each run is
a process of its own; they take turns in a random order per round. All are installed, from the package
index and this checkout, in an environment that the bench makes.

Slope: the median time of a test, from the second on, as pytest's whole protocol for it takes.
Start-up: all the rest of the process, with the first test, where lazy imports fall.
Both are compared with cassetter's in the same round; beside them stands the processor time. Then, what
a replayed call takes more than a live one under the same plugin: with ``--kaizen`` a live call is recorded,
scored and stored too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parents[2]
PEERS = ("cassetter==0.16.1", "pytest-recording==0.14.1")
LIVE, CONTROL = "live", "live again (A/A)"
RECORDING, CASSETTER, WITH_BODY = "pytest-recording", "cassetter", "cassetter, bodies too"
KAIZEN, KAIZEN_LIVE = "--kaizen", "--kaizen, live"
#: What a variant needs to record, and to replay.
ARGUMENTS: dict[str, tuple[list[str], list[str]]] = {
    LIVE: ([], []),
    CONTROL: ([], []),
    RECORDING: (["-precording", "--record-mode=rewrite"], ["-precording", "--record-mode=none"]),
    CASSETTER: (["-pcassetter", "--record-mode=rewrite"], ["-pcassetter", "--record-mode=none"]),
    WITH_BODY: (["-pcassetter", "--record-mode=rewrite"], ["-pcassetter", "--record-mode=none"]),
    KAIZEN_LIVE: (["-pkaizen", "--kaizen"], ["-pkaizen", "--kaizen"]),
    KAIZEN: (
        ["-pkaizen", "--kaizen", "--kaizen-record=all"],
        ["-pkaizen", "--kaizen", "--kaizen-record=replay"],
    ),
}
SERVER = """\
import json, sys
from pytest_kaizen.scripted import ScriptedLLM
with ScriptedLLM() as llm:
    llm.reply("The parcel of the customer has been late since Monday and they ask for their money. " * 5)
    print(json.dumps(llm.environ), flush=True)
    for _ in sys.stdin:
        print(len(llm.requests), flush=True)
"""
CONFTEST = """\
import json
import os
import time

import pytest

TIMES = []


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    started = time.perf_counter(), time.process_time()
    result = yield
    TIMES.append((time.perf_counter() - started[0], time.process_time() - started[1]))
    return result


@pytest.hookimpl(trylast=True)
def pytest_unconfigure():
    with open("times.json", "w") as file:
        json.dump([TIMES, time.process_time()], file)


MATCH = os.environ["BENCH_MATCH"]


@pytest.fixture(scope="module")
def vcr_config():
    return {"match_on": MATCH.split()} if MATCH else {}
"""
SUITE = """\
import anthropic
import pytest

CLIENT = anthropic.Anthropic()
SYSTEM = "You are a helpful assistant. Summarize the ticket in two sentences. " * 5
TICKET = "My parcel is late, and nobody answers my letters. " * 10


@pytest.mark.MARKER
@pytest.mark.parametrize("number", range(COUNT))
def test_call(number):
    reply = CLIENT.messages.create(
        model="claude-haiku-4-5",
        max_tokens=300,
        system=SYSTEM,
        messages=[{"role": "user", "content": f"Ticket {number}: {TICKET}"}],
    )
    assert "late since Monday" in reply.content[0].text
"""


class Taken(NamedTuple):
    """Milliseconds of one run: those of a test, and of all the rest; by the clock and the processor."""

    slope: float
    startup: float
    slope_cpu: float
    startup_cpu: float


class Bench:
    """The environment, the suites and the server.

    Args:
        folder: Where all of it is made.
        tests: How many tests the suite has.
    """

    def __init__(self, folder: Path, tests: int) -> None:
        self._folder = folder
        self._tests = tests
        venv.create(folder / "venv", with_pip=True)
        self.python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        command = [str(self.python), "-m", "pip", "-qq", "--disable-pip-version-check", "install"]
        subprocess.run([*command, str(CHECKOUT), *PEERS], check=True)
        for name in ARGUMENTS:
            suite = self._suite(name)
            suite.mkdir()
            marker = 'kaizen("bench")' if name in (KAIZEN, KAIZEN_LIVE) else "vcr"
            text = SUITE.replace("MARKER", marker).replace("COUNT", str(tests))
            (suite / "test_calls.py").write_text(text, encoding="utf-8")
            (suite / "conftest.py").write_text(CONFTEST, encoding="utf-8")
            (suite / "pytest.ini").write_text("[pytest]\nmarkers = vcr\n", encoding="utf-8")

    def _suite(self, name: str) -> Path:
        return self._folder / "".join(letter for letter in name if letter.isalpha())

    def run(self, name: str, environment: dict[str, str], *, record: bool = False) -> Taken:
        """Run a variant once.

        Raises:
            SystemExit: A test failed.
        """
        suite = self._suite(name)
        foreign = ("PYTEST_", "PYTHON", "KAIZEN_", "ANTHROPIC_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        match = "method uri body" if name == WITH_BODY else ""
        kept |= environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "BENCH_MATCH": match}
        arguments = ARGUMENTS[name][0 if record else 1]
        started = time.perf_counter()
        done = subprocess.run(
            [str(self.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=suite,
            env=kept,
            capture_output=True,
            text=True,
            check=False,
        )
        whole = (time.perf_counter() - started) * 1000
        if done.returncode or f"{self._tests} passed" not in done.stdout:
            sys.exit(f"{name}:\n{done.stdout}{done.stderr}")
        taken, cpu = json.loads((suite / "times.json").read_text(encoding="utf-8"))
        rest = taken[1:]
        return Taken(
            statistics.median(wall for wall, _ in rest) * 1000,
            whole - sum(wall for wall, _ in rest) * 1000,
            statistics.median(used for _, used in rest) * 1000,
            (cpu - sum(used for _, used in rest)) * 1000,
        )


@contextmanager
def server(python: Path) -> Iterator[tuple[dict[str, str], subprocess.Popen[str]]]:
    """Run the scripted server; yield the environment that leads there, and its process."""
    with subprocess.Popen(
        [str(python), "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline()), process
        finally:
            process.stdin.close()


def count_of(process: subprocess.Popen[str]) -> int:
    """Ask the server how many requests it has seen."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def measure(bench: Bench, rounds: int, tests: int) -> dict[str, list[Taken]]:
    """Record once, then time all variants in turns; replays are checked to call nobody."""
    taken: dict[str, list[Taken]] = {name: [] for name in ARGUMENTS}
    with server(bench.python) as (environment, process):
        for name in ARGUMENTS:
            bench.run(name, environment, record=True)
            bench.run(name, environment)
        order = list(ARGUMENTS)
        shuffled = random.Random(0)
        for _ in range(rounds):
            shuffled.shuffle(order)
            for name in order:
                before = count_of(process)
                taken[name].append(bench.run(name, environment))
                called = count_of(process) - before
                if called != (tests if name in (LIVE, CONTROL, KAIZEN_LIVE) else 0):
                    sys.exit(f"not what was to be measured: {name} made {called} calls")
    return taken


def lines(taken: dict[str, list[Taken]], field: str) -> list[str]:
    """Lay out the medians of one figure, and its ratio to cassetter's, paired by round."""
    shown = [f"{'':24}{'median ms':>10}{'quartiles':>20}{'to cassetter':>14}{'95% CI':>16}"]
    base = [getattr(one, field) for one in taken[CASSETTER]]
    for name, runs in taken.items():
        values = [getattr(one, field) for one in runs]
        low, middle, high = statistics.quantiles(values, n=4)
        ratios = [value / reference for value, reference in zip(values, base, strict=True)]
        cells = f"{name:24}{middle:10.2f}{f'{low:.2f} to {high:.2f}':>20}{statistics.median(ratios):14.3f}"
        if name != CASSETTER:
            draws = random.Random(0)
            medians = sorted(statistics.median(draws.choices(ratios, k=len(ratios))) for _ in range(2000))
            cells += f"{f'{medians[50]:.2f} to {medians[-51]:.2f}':>16}"
        shown.append(cells)
    return shown


def added_lines(taken: dict[str, list[Taken]]) -> list[str]:
    """Lay out what replaying a call adds to the live one, paired by round."""
    shown = [f"{'':24}{'added ms':>10}{'95% CI':>18}"]
    for name in (CONTROL, RECORDING, CASSETTER, WITH_BODY, KAIZEN):
        live = taken[KAIZEN_LIVE if name == KAIZEN else LIVE]
        added = [one.slope - other.slope for one, other in zip(taken[name], live, strict=True)]
        draws = random.Random(0)
        medians = sorted(statistics.median(draws.choices(added, k=len(added))) for _ in range(2000))
        interval = f"{medians[50]:+.2f} to {medians[-51]:+.2f}"
        shown.append(f"{name:24}{statistics.median(added):+10.2f}{interval:>18}")
    return shown


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What a replayed call costs, beside other recorders.")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each variant (default: 15)")
    parser.add_argument("--tests", type=int, default=200, help="tests of a suite (default: 200)")
    arguments = parser.parse_args()
    rounds, tests = max(2, arguments.rounds), max(3, arguments.tests)
    with tempfile.TemporaryDirectory() as folder:
        taken = measure(Bench(Path(folder), tests), rounds, tests)
    for field, what in (
        ("slope", "a test, by the clock"),
        ("startup", "all but the tests after the first, by the clock"),
        ("slope_cpu", "a test, processor time"),
        ("startup_cpu", "all but the tests after the first, processor time"),
    ):
        print(f"\n{what}; {rounds} runs each of {tests} tests")
        print("\n".join(lines(taken, field)), flush=True)
    print(f"\nwhat replaying a call adds to a live one, by the clock; {rounds} runs each")
    print("\n".join(added_lines(taken)), flush=True)


if __name__ == "__main__":
    main()
