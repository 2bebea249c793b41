from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pytest_kaizen.models import Outcome

SCRIPT = Path(__file__).with_name("verdicts.py")


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kaizen_bench_verdicts", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_says_where_it_looked_when_there_is_no_data(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    command = [sys.executable, str(SCRIPT), "--data", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == f"no judge scores at {path}; give their file with --data"


def test_tells_right_from_wrong(bench: ModuleType) -> None:
    tally = bench.Tally()
    tally.add((Outcome.PASS, 3), 0.5, 0.6)
    tally.add((Outcome.FAIL, 4), 0.5, 0.4)
    tally.add((Outcome.FAIL, 5), 0.5, 0.6)
    tally.add((Outcome.FAIL, 6), 0.5, 0.5)
    tally.add((Outcome.UNDECIDED, 7), 0.5, 0.4)
    assert (tally.passed, tally.failed, tally.undecided, tally.wrong) == (1, 3, 1, 2)
    assert tally.samples == [3, 4, 5, 6, 7]


def test_judges_by_all_methods(bench: ModuleType) -> None:
    rng = random.Random(0)
    scores = [rng.betavariate(0.3, 0.3) for _ in range(100)]
    _, tallies, _ = bench.judge_model(("made up", scores, 10))
    ours, z_test, one = (tallies[name, 0.3] for name in (bench.OURS, "fixed-n z-test", "mean of 1"))
    assert ours.wrong == z_test.wrong == 0
    assert max(ours.samples) < min(z_test.samples) == bench.z_test_size() == 618
    assert one.wrong > 0


def test_clusters_hold_every_case_once(bench: ModuleType) -> None:
    order = bench.clustered([0.9, 0.1, 0.8, 0.2, 0.5], size=1)
    assert order == [0, 3, 2, 1, 4]
