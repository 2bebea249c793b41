"""The simulated world is one in which only right rules help; the bench runs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def world_of() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kaizen_bench_world", FOLDER / "optimize_world.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_right_rules_help_wrong_ones_harm_and_contradictions_too(world_of: ModuleType) -> None:
    world = world_of.World(1)
    best = world.best_prompt()
    top = world.true_score(best)
    assert world.true_score(world_of.BASE) < 0.2 < 0.9 < top
    for requirement in world.requirements:
        without = best.replace(f"- {requirement.wordings('right')[0]}\n", "")
        assert world.true_score(without) <= top
        for kind in ("opposite", "plausible"):
            assert world.true_score(f"{best}\n- {requirement.wordings(kind)[0]}") < top


def test_long_prompts_dilute(world_of: ModuleType) -> None:
    world = world_of.World(1)
    padded = world.best_prompt() + "\nPlease mind this as well." * 60
    assert world.true_score(padded) < 0.5 * world.true_score(world.best_prompt())


def test_the_judge_is_noisy_and_a_rollout_repeats(world_of: ModuleType) -> None:
    world = world_of.World(1)
    ids = list(world.inputs)
    first = list(world.evaluate(world_of.BASE, ids, (0, 1)))
    assert first == list(world.evaluate(world_of.BASE, ids, (0, 1)))
    assert len({scored.score for scored in first}) > 5
    assert any(a.score != b.score for a, b in zip(first[::2], first[1::2], strict=True))


def test_the_bench_prints_its_table() -> None:
    command = [sys.executable, str(FOLDER / "optimize.py"), "--seeds", "1", "--jobs", "1", "--budgets", "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert "rollouts" in done.stdout
    assert "met: no prompt that ignores the failures gets above a third" in done.stdout
