"""``optimize``: for all tasks, and for one task in ``kaizen.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from pytest_kaizen.config import EngineName, OptimizeConfig, SharesConfig, load_config
from pytest_kaizen.errors import ConfigError
from pytest_kaizen.optimize import ENGINES, Budget, Improve, Standard
from pytest_kaizen.pipeline.search import Search


def _write(root: Path, text: str) -> Path:
    (root / "kaizen.yaml").write_text(text)
    return root


@pytest.mark.parametrize("given", range(5))
def test_what_follows_on_a_failed_gate(tmp_path: Path, given: int) -> None:
    """Command line, environment, ini file, the task, all tasks: the first that says something counts."""
    said = ["pr", "activate", "propose", "pr", "propose"]
    cli, env, ini, task, every = (value if place >= given else None for place, value in enumerate(said))
    yaml = (f"optimize: {every}\n" if every else "") + (
        f"tasks: {{t: {{optimize: {{mode: {task}}}}}}}\n" if task else "tasks: {t: {}}\n"
    )
    config = load_config(
        _write(tmp_path, yaml),
        cli={"optimize": cli},
        env={"KAIZEN_OPTIMIZE": env} if env else {},
        ini={"optimize": ini},
    )
    assert config.optimize_mode("t") == said[given]
    # What is said for one task says nothing about the others.
    assert config.optimize_mode("other") == said[4 if given == 3 else given]
    assert config.optimizes


def test_never_by_default(tmp_path: Path) -> None:
    config = load_config(_write(tmp_path, "tasks: {t: {optimize: {engine: gepa}}}\n"), env={})
    assert (config.optimize_mode("t"), config.optimizes) == ("never", False)
    one = _write(tmp_path, "tasks: {t: {optimize: {mode: propose}}}\n")
    assert load_config(one, env={}).optimizes
    assert not load_config(one, env={"KAIZEN_OPTIMIZE": "never"}).optimizes


def test_what_a_search_is_told(tmp_path: Path) -> None:
    yaml = "tasks: {t: {optimize: {engine: gepa, budget_usd: 2.5, max_rollouts: 90}}}\n"
    config = load_config(_write(tmp_path, yaml), env={})
    assert Search.of(config, "t") == Search("t", "gepa", Budget(usd=2.5, rollouts=90))
    said = Search.of(config, "t", engine="insights", budget_usd=1.0, max_rollouts=10, seed=3)
    assert said == Search("t", "insights", Budget(usd=1.0, rollouts=10), 3)
    assert Search.of(config, "other") == Search("other", "insights", Budget(usd=5.0, rollouts=400))


def test_the_defaults_are_those_of_the_search() -> None:
    settings = OptimizeConfig()
    default = Improve("t", "", ())
    assert (settings.shares.search, settings.shares.validation) == default.shares
    assert (settings.epochs, settings.reading) == (default.epochs, default.mode)
    assert Standard(settings.min_gain, settings.confidence, samples=settings.samples) == Standard()
    assert list(get_args(EngineName)) == list(ENGINES)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{mode: always}", "optimize.mode: input should be 'never', 'propose', 'activate' or 'pr'"),
        ("{engine: magic}", "optimize.engine: input should be 'insights', 'gepa'"),
        ("{budget_usd: 0}", "optimize.budget_usd: input should be greater than 0 (found 0)"),
        ("{max_rollouts: 0}", "optimize.max_rollouts: input should be greater than or equal to 1 (found 0)"),
        ("{min_gain: 1}", "optimize.min_gain: input should be less than 1 (found 1)"),
        ("{confidence: 95}", "optimize.confidence: input should be less than 1 (found 95)"),
        ("{reading: deep}", "optimize.reading: input should be 'standard' or 'recursive' (found 'deep')"),
        ("{budget: 3}", "unknown key 'tasks.t.optimize.budget' (did you mean 'budget_usd'?)"),
        (
            "{shares: {search: 0.8, validation: 0.2}}",
            "optimize.shares: search and validation must leave a share held out, so their sum is below 1",
        ),
    ],
)
def test_bad_settings(tmp_path: Path, settings: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(_write(tmp_path, f"tasks: {{t: {{optimize: {settings}}}}}\n"), env={})
    assert f"{tmp_path / 'kaizen.yaml'}:1: " in str(caught.value)
    assert message in str(caught.value)


def test_shares_that_are_given_in_part(tmp_path: Path) -> None:
    config = load_config(_write(tmp_path, "tasks: {t: {optimize: {shares: {search: 0.6}}}}\n"), env={})
    assert config.task("t").optimize.shares == SharesConfig(search=0.6, validation=0.2)
