"""What capturing, scoring and storing adds to an LLM call.

``python tests/bench/capture.py [--rounds N] [--calls N]``

A generated suite calls a scripted server, which runs in a process of its own, through anthropic's
SDK and through plain httpx, whole and streamed. Each kind is called in two ways: many times in one
test, and once per test, where a case, a sample and its trace are stored for every call. Plain
pytest, plain pytest once more (the A/A control: what no difference looks like) and ``--kaizen``
take turns, each in a process of its own, in a random order per round.

Per call: the time that the caller sees, by itself. Per test: the whole of pytest's protocol for the
item, so with the store. What many calls cost at the end of their one test is given per call. Beside
the time that passed stands the processor time of the client's process, in which neither the server
nor what else the machine is busy with counts.

A shared machine may be half as fast again in one second as in the next. After each call and each
test a fixed piece of work is timed, and the times of a kind and way in a process are scaled by it to
the fastest pace that was seen.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

AIM_US = 200.0
PLAIN, CONTROL, KAIZEN = "plain", "plain again (A/A)", "--kaizen"
KINDS = ("anthropic", "anthropic streamed", "httpx", "httpx streamed")
#: Calls of each kind and way that a process makes first and that are not counted.
WARM_UP = 20

SERVER = """\
import json, sys
from pytest_kaizen.scripted import ScriptedLLM
words = "The parcel of the customer has been late since Monday and they ask for their money back. " * 5
with ScriptedLLM() as llm:
    llm.reply(chunks=[words[start : start + 30] for start in range(0, len(words), 30)])
    print(json.dumps(llm.environ), flush=True)
    sys.stdin.read()
"""
INI = """\
[pytest]
kaizen_when_off = run
"""
CONFTEST = """\
import json
import time

import pytest

TIMES = {}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    import test_calls

    started = time.perf_counter(), time.process_time()
    result = yield
    taken = time.perf_counter() - started[0], time.process_time() - started[1]
    way, kind = item.originalname, item.callspec.params["kind"]
    TIMES.setdefault(f"{way} {kind}", []).append((*taken, test_calls.pace()))
    return result


def pytest_sessionfinish():
    import test_calls

    with open("times.json", "w") as file:
        json.dump(TIMES | test_calls.TIMES, file)
"""
SUITE = """\
import json
import os
import time

import anthropic
import httpx
import pytest

BODY = {
    "model": "claude-haiku-4-5",
    "max_tokens": 300,
    "system": "You are a helpful assistant. Summarize the ticket in two sentences. " * 5,
    "messages": [{"role": "user", "content": "My parcel is late, and nobody answers my letters. " * 10}],
}
SDK = anthropic.Anthropic()
HTTP = httpx.Client(
    base_url=os.environ["ANTHROPIC_BASE_URL"],
    headers={"x-api-key": os.environ["ANTHROPIC_API_KEY"], "anthropic-version": "2023-06-01"},
)
TIMES = {}


def sdk():
    return SDK.messages.create(**BODY).content[0].text


def sdk_streamed():
    return sum(1 for event in SDK.messages.create(**BODY, stream=True))


def plain():
    return HTTP.post("/v1/messages", json=BODY).json()["content"][0]["text"]


def plain_streamed():
    with HTTP.stream("POST", "/v1/messages", json=BODY | {"stream": True}) as response:
        return sum(1 for line in response.iter_lines() if line)


def pace():
    started = time.process_time()
    for _ in range(5):
        json.loads(json.dumps([BODY, {"number": [str(number) for number in range(50)]}]))
    return time.process_time() - started


CALLS = dict(zip(KINDS, (sdk, sdk_streamed, plain, plain_streamed)))


@pytest.mark.kaizen(task="bench")
@pytest.mark.parametrize("number", range(COUNT))
@pytest.mark.parametrize("kind", KINDS)
def test_one(kind, number):
    assert CALLS[kind]()


@pytest.mark.kaizen(task="bench")
@pytest.mark.parametrize("kind", KINDS)
def test_many(kind):
    times = TIMES.setdefault(f"call {kind}", [])
    for _ in range(COUNT):
        started = time.perf_counter(), time.process_time()
        assert CALLS[kind]()
        taken = time.perf_counter() - started[0], time.process_time() - started[1]
        times.append((*taken, pace()))
"""


class Taken(NamedTuple):
    """Microseconds that something took, and that the fixed piece of work took after it."""

    wall: float
    cpu: float
    pace: float


#: By what was timed: ``call <kind>``, ``test_one <kind>``, ``test_many <kind>``.
Times = dict[str, list[Taken]]


@contextmanager
def server() -> Iterator[dict[str, str]]:
    """Run the scripted server; yield the environment that leads there."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()


def make_suite(folder: Path, calls: int) -> None:
    """Write the suite, with ``calls`` counted calls of each kind and way."""
    (folder / "pytest.ini").write_text(INI, encoding="utf-8")
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    constants = f"COUNT = {calls + WARM_UP}\nKINDS = {KINDS!r}\n"
    (folder / "test_calls.py").write_text(constants + SUITE, encoding="utf-8")


def run(folder: Path, environment: dict[str, str], *, on: bool) -> Times:
    """Run the suite once; return what it timed, without the warm-up.

    Raises:
        SystemExit: A call failed.
    """
    shutil.rmtree(folder / ".kaizen", ignore_errors=True)
    foreign = ("PYTEST_", "KAIZEN_", "ANTHROPIC_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command + ["--kaizen"] * on,
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or (folder / ".kaizen").exists() != on:
        sys.exit(done.stdout + done.stderr)
    times = json.loads((folder / "times.json").read_text(encoding="utf-8"))
    return {
        name: [
            Taken(wall * 1e6, cpu * 1e6, pace * 1e6)
            for wall, cpu, pace in (taken if name.startswith("test_many") else taken[WARM_UP:])
        ]
        for name, taken in times.items()
    }


def measure(rounds: int, calls: int) -> dict[str, Times]:
    """Run the variants in turns; return all their times, at the fastest pace seen."""
    order = [PLAIN, CONTROL, KAIZEN]
    shuffled = random.Random(0)
    groups: list[tuple[str, str, float, list[Taken]]] = []
    with tempfile.TemporaryDirectory() as name, server() as environment:
        make_suite(Path(name), calls)
        for _ in range(rounds):
            shuffled.shuffle(order)
            for variant in order:
                seen = run(Path(name), environment, on=variant == KAIZEN)
                groups += [(variant, what, _pace(what, seen), taken) for what, taken in seen.items()]
    paces = [pace for _, _, pace, _ in groups]
    print(f"slowest to fastest pace: {max(paces) / min(paces):.2f} to 1")
    times: dict[str, Times] = {variant: {} for variant in order}
    for variant, what, pace, taken in groups:
        scale = min(paces) / pace
        scaled = [Taken(*(value * scale for value in values)) for values in taken]
        times[variant].setdefault(what, []).extend(scaled)
    return times


def _pace(what: str, seen: Times) -> float:
    # One test of many calls has one pace of its own; that of its calls says more.
    return _middle(seen[what.replace("test_many", "call")]).pace


def lines(times: dict[str, Times], calls: int) -> list[str]:
    """Lay out medians, quartiles and differences from plain pytest, in microseconds."""
    shown = [f"{'':43}{'median':>9}{'quartiles':>18}{'added':>8}{'A/A':>7}{'added CPU':>11}{'A/A CPU':>9}"]
    for title, way in (("per call, many in a test", "call"), ("per test of one call", "test_one")):
        for kind in KINDS:
            what = f"{way} {kind}"
            middle = {name: _middle(taken[what]) for name, taken in times.items()}
            low, _, high = statistics.quantiles([taken.wall for taken in times[KAIZEN][what]], n=4)
            cells = f"{middle[KAIZEN].wall:9.0f}{f'{low:.0f} to {high:.0f}':>18}"
            line = f"{title}, {kind}".ljust(43) + cells + _added(middle)
            if way == "test_one" and "streamed" not in kind:
                met = middle[KAIZEN].wall - middle[PLAIN].wall < AIM_US
                line += f"  aim < {AIM_US:.0f}: {'met' if met else 'MISSED'}"
            shown.append(line)
    for kind in KINDS:
        rest = {name: _rest(taken, kind, calls) for name, taken in times.items()}
        title = f"end of a test of many, per call, {kind}"
        shown.append(title.ljust(43) + f"{rest[KAIZEN].wall:9.0f}{'':18}" + _added(rest))
    return shown


def _middle(times: list[Taken]) -> Taken:
    return Taken(*(statistics.median(column) for column in zip(*times, strict=True)))


def _added(figures: dict[str, Taken]) -> str:
    wall, cpu = (
        [figures[name][clock] - figures[PLAIN][clock] for name in (KAIZEN, CONTROL)] for clock in (0, 1)
    )
    return f"{wall[0]:+8.0f}{wall[1]:+7.0f}{cpu[0]:+11.0f}{cpu[1]:+9.0f}"


def _rest(times: Times, kind: str, calls: int) -> Taken:
    """Return what a test of many calls takes beyond its calls, per call."""
    per_test = calls + WARM_UP
    whole = _middle(times[f"test_many {kind}"])
    means = [statistics.fmean(column) for column in zip(*times[f"call {kind}"], strict=True)]
    # The fixed piece of work is part of the test, but of none of its calls.
    wall, cpu = (whole[clock] / per_test - means[clock] - means[2] for clock in (0, 1))
    return Taken(wall, cpu, means[2])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What capture adds to an LLM call.")
    parser.add_argument("--rounds", type=int, default=8, help="runs of each variant (default: 8)")
    parser.add_argument("--calls", type=int, default=250, help="counted calls per run (default: 250)")
    options = parser.parse_args()
    times = measure(options.rounds, options.calls)
    total = options.rounds * options.calls
    print(f"microseconds, {total} calls of each kind and way, in {options.rounds} turns")
    print("\n".join(lines(times, options.calls)))


if __name__ == "__main__":
    main()
