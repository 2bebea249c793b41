"""What the installed plugin adds to the start of a pytest run, off and on.

``python tests/bench/startup.py [--rounds N]``

The checkout is built and installed as users have it: as a wheel, since pytest goes over an
installed distribution's list of files. Timed is ``pytest.main`` in a folder without tests (or
with a single one), from within its process: whole-process timing cannot show ten milliseconds.

- Off: one interpreter runs pytest again and again, in turns and in random order with the package
  absent, absent once more (the A/A control: what no difference looks like) and installed, and
  forgets the package's modules and all import caches before each.
- On: each run is an interpreter of its own, as libraries can be imported only once. Beside the empty
  suite stands one with a single test, as most of the package is loaded with the first test.

All of it once with bytecode kept and once with ``PYTHONDONTWRITEBYTECODE``, where pytest rewrites
on every run what it would otherwise keep.
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
import tomllib
import venv
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
BASE, CONTROL = "absent", "absent again (A/A)"
OFF, ON, ONE_TEST = "off", "on, empty suite", "on, one test"
AIMS_MS = {OFF: 10.0, ON: 300.0}
#: Runs of one variant within one interpreter, for each run in an interpreter of its own.
REPEATED = 8
# Arguments: how often, then for each variant a folder for sys.path and more arguments of pytest, as JSON.
DRIVER = """\
import contextlib, importlib, json, os, random, sys, time
import pytest

def run(folder, arguments):
    for name in [name for name in sys.modules if name.partition(".")[0] == "pytest_kaizen"]:
        del sys.modules[name]
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    sys.path.insert(0, folder)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        start = time.perf_counter()
        status = pytest.main(["-p", "no:cacheprovider", *arguments])
        end = time.perf_counter()
    sys.path.remove(folder)
    on = "pytest_kaizen.plugin.start" in sys.modules
    if status != (0 if "one" in arguments else 5) or on != ("--kaizen" in arguments):
        sys.exit(f"not what was to be measured: status {status}")
    loaded = "pytest_kaizen.plugin" in sys.modules
    return (end - start) * 1000, loaded

rounds, variants = json.loads(sys.argv[1])
order = list(variants)
times = {name: [] for name in variants}
shuffled = random.Random(0)
for _ in range(rounds):
    shuffled.shuffle(order)
    for name in order:
        times[name].append(run(*variants[name]))
print(json.dumps(times))
"""

Times = dict[str, list[float]]


class Environment:
    """A virtual environment with the dependencies, and the package in a folder that comes and goes.

    Args:
        folder: Where all of it is made.
    """

    def __init__(self, folder: Path) -> None:
        self._package = folder / "package"
        self._nothing = folder / "nothing"
        self._suite = folder / "suite"
        for path in (self._nothing, self._suite):
            path.mkdir()
        (self._suite / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        for name, text in (("empty", ""), ("one", "def test_one(): pass\n")):
            (self._suite / name).mkdir()
            (self._suite / name / "test_one.py").write_text(text, encoding="utf-8")
        venv.create(folder / "venv", with_pip=True)
        scripts = "Scripts" if os.name == "nt" else "bin"
        self._python = folder / "venv" / scripts / "python"
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        self._pip("install", *project["dependencies"])
        self._pip("install", "--no-deps", "--target", str(self._package), str(CHECKOUT))

    def _pip(self, *arguments: str) -> None:
        command = [str(self._python), "-m", "pip", "-qq", "--disable-pip-version-check", *arguments]
        subprocess.run(command, check=True)

    def off(self, rounds: int, *, keep_bytecode: bool) -> Times:
        """Time the variants without ``--kaizen``, in one interpreter; the first round fills caches."""
        times = self._run(rounds + 1, (BASE, CONTROL, OFF), OFF, keep_bytecode=keep_bytecode)
        return {name: taken[1:] for name, taken in times.items()}

    def on(self, variant: str, rounds: int, *, keep_bytecode: bool) -> Times:
        """Time ``--kaizen`` beside the package absent, an interpreter for each run."""
        order = [BASE, CONTROL, variant]
        times: Times = {name: [] for name in order}
        shuffled = random.Random(0)
        for number in range(rounds + 1):
            shuffled.shuffle(order)
            for name in order:
                taken = self._run(1, (name,), variant, keep_bytecode=keep_bytecode)[name]
                times[name] += taken if number else []
        return times

    def _run(self, rounds: int, names: tuple[str, ...], variant: str, *, keep_bytecode: bool) -> Times:
        foreign = ("PYTEST_", "PYTHON", "KAIZEN_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        if not keep_bytecode:
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        suite = "one" if variant == ONE_TEST else "empty"
        variants = {
            name: (
                str(self._package if name == variant else self._nothing),
                [suite, "--kaizen"] if name in (ON, ONE_TEST) else [suite],
            )
            for name in names
        }
        done = subprocess.run(
            [str(self._python), "-c", DRIVER, json.dumps([rounds, variants])],
            cwd=self._suite,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        seen: dict[str, list[tuple[float, bool]]] = json.loads(done.stdout)
        if any(loaded != (name == variant) for name, taken in seen.items() for _, loaded in taken):
            sys.exit("not what was to be measured: the package was there when it should not be, or not there")
        return {name: [milliseconds for milliseconds, _ in taken] for name, taken in seen.items()}


def lines(times: Times) -> list[str]:
    """Lay out medians, quartiles and differences from the base, paired by round."""
    base = times[BASE]
    shown = [f"{'':20}{'median':>9}{'quartiles':>18}{'added':>10}{'added, 95% CI':>18}{'ratio':>8}  aim"]
    for name, taken in times.items():
        low, middle, high = statistics.quantiles(taken, n=4)
        added = [value - reference for value, reference in zip(taken, base, strict=True)]
        cells = f"{name:20}{middle:9.2f}{f'{low:.2f} to {high:.2f}':>18}"
        if name != BASE:
            least, most = _interval(added)
            cells += f"{statistics.median(added):+10.2f}{f'{least:+.2f} to {most:+.2f}':>18}"
            cells += f"{middle / statistics.median(base):8.3f}"
        if name in AIMS_MS:
            met = statistics.median(added) < AIMS_MS[name]
            cells += f"  < {AIMS_MS[name]:.0f} ms: {'met' if met else 'MISSED'}"
        shown.append(cells)
    return shown


def _interval(values: list[float]) -> tuple[float, float]:
    """Return a 95% bootstrap interval for the median."""
    draws = random.Random(0)
    medians = sorted(statistics.median(draws.choices(values, k=len(values))) for _ in range(2000))
    return medians[50], medians[-51]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What the plugin adds to the start of a pytest run.")
    parser.add_argument("--rounds", type=int, default=25, help="runs of each variant (default: 25)")
    rounds = max(2, parser.parse_args().rounds)
    with tempfile.TemporaryDirectory() as folder:
        environment = Environment(Path(folder))
        for keep_bytecode in (True, False):
            mode = "bytecode kept" if keep_bytecode else "PYTHONDONTWRITEBYTECODE=1"
            for variant in (OFF, ON, ONE_TEST):
                if variant == OFF:
                    how, times = (
                        "one interpreter",
                        environment.off(rounds * REPEATED, keep_bytecode=keep_bytecode),
                    )
                else:
                    how, times = (
                        "an interpreter each",
                        environment.on(variant, rounds, keep_bytecode=keep_bytecode),
                    )
                tests = "one test" if variant == ONE_TEST else "no tests"
                print(f"\nms of pytest.main with {tests}; {len(times[BASE])} runs each, {how}, {mode}")
                print("\n".join(lines(times)), flush=True)


if __name__ == "__main__":
    main()
