from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.config import DEFAULT_ENDPOINTS, Config, Endpoint, JudgeConfig, TaskConfig, load_config
from pytest_kaizen.errors import ConfigError
from pytest_kaizen.models import GateSpec, Scope


def load(root: Path, yaml: str | None = None, **places: dict[str, Any]) -> Config:
    if yaml is not None:
        (root / "kaizen.yaml").write_text(yaml, encoding="utf-8")
    return load_config(root, **{"env": {}, **places})


def error_of(root: Path, yaml: str | None = None, **places: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(root, yaml, **places)
    return str(caught.value)


def test_defaults(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config == Config(root=tmp_path, store=tmp_path / ".kaizen/kaizen.db")
    assert config.prompt_versions == {}
    assert config.undecided == "fail"
    assert config.judge == JudgeConfig(model="claude-haiku-4-5", max_tokens=2048, timeout_s=60.0)
    assert config.endpoints == DEFAULT_ENDPOINTS
    assert (config.tasks, config.task_gates, config.prices) == ({}, (), None)


def test_config_cannot_be_changed(tmp_path: Path) -> None:
    config = load(tmp_path)
    with pytest.raises(FrozenInstanceError):
        config.undecided = "pass"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("setting", "attribute", "values", "expected"),
    [
        ("store", "store", ["cli", "env", "ini", "yaml"], ["cli", "env", "ini", "yaml", ".kaizen/kaizen.db"]),
        (
            "undecided",
            "undecided",
            ["pass", "fail", "pass", "pass"],
            ["pass", "fail", "pass", "pass", "fail"],
        ),
    ],
)
def test_precedence(
    tmp_path: Path, setting: str, attribute: str, values: list[str], expected: list[str]
) -> None:
    """Take away the place that counts most, one after another."""
    found = []
    for given in range(5):
        cli, env, ini, yaml = [*[None] * given, *values[given:]][:4] if given < 4 else [None] * 4
        config = load(
            tmp_path,
            f"{setting}: {yaml}\n" if yaml else "",
            cli={setting: cli},
            env={f"KAIZEN_{setting.upper()}": env} if env else {},
            ini={setting: ini},
        )
        found.append(getattr(config, attribute))
    assert found == [tmp_path / value if setting == "store" else value for value in expected]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({}, True),
        ({"ini": {"judge_cache": "off"}}, False),
        ({"ini": {"judge_cache": "off"}, "env": {"KAIZEN_JUDGE_CACHE": "on"}}, True),
        ({"env": {"KAIZEN_JUDGE_CACHE": "on"}, "cli": {"judge_cache": "off"}}, False),
    ],
)
def test_judge_cache(tmp_path: Path, places: dict[str, dict[str, Any]], expected: bool) -> None:
    assert load(tmp_path, None, **places).judge_cache is expected


def test_bad_judge_cache(tmp_path: Path) -> None:
    assert (
        error_of(tmp_path, cli={"judge_cache": "no"})
        == "--kaizen-judge-cache: expected one of on, off (found 'no')"
    )


def test_empty_is_not_given(tmp_path: Path) -> None:
    # An ini key without a value and an exported but empty variable.
    assert load(tmp_path, env={"KAIZEN_STORE": ""}, ini={"store": ""}).store == tmp_path / ".kaizen/kaizen.db"


def test_environment_of_the_process_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIZEN_STORE", "from-env.db")
    assert load_config(tmp_path).store == tmp_path / "from-env.db"


def test_absolute_store(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    assert load(tmp_path / "root", cli={"store": str(elsewhere)}).store == elsewhere


@pytest.mark.parametrize(
    "places",
    [
        {"cli": {"prompt_version": ["a=1", "b_c=20"]}},
        {"env": {"KAIZEN_PROMPT_VERSION": "a=1  b_c=20"}},
        {"ini": {"prompt_version": "a=1\nb_c=20"}},
        {"ini": {"prompt_version": ["a=1", "b_c=20"]}},
    ],
)
def test_prompt_versions(tmp_path: Path, places: dict[str, Any]) -> None:
    assert load(tmp_path, **places).prompt_versions == {"a": 1, "b_c": 20}


@pytest.mark.parametrize("item", ["a", "a=", "=1", "a=0", "a=-1", "a=x", "a=1.5", "a=1=2"])
def test_bad_prompt_version(tmp_path: Path, item: str) -> None:
    problem = f"expected TASK=N with N counted from 1 (found {item!r})"
    assert error_of(tmp_path, cli={"prompt_version": [item]}) == f"--kaizen-prompt-version: {problem}"
    assert error_of(tmp_path, env={"KAIZEN_PROMPT_VERSION": item}) == f"KAIZEN_PROMPT_VERSION: {problem}"
    assert error_of(tmp_path, ini={"prompt_version": item}) == f"ini key kaizen_prompt_version: {problem}"


def test_bad_undecided(tmp_path: Path) -> None:
    problem = "expected one of fail, pass (found 'skip')"
    assert error_of(tmp_path, cli={"undecided": "skip"}) == f"--kaizen-undecided: {problem}"
    assert error_of(tmp_path, env={"KAIZEN_UNDECIDED": "skip"}) == f"KAIZEN_UNDECIDED: {problem}"
    assert error_of(tmp_path, ini={"undecided": "skip"}) == f"ini key kaizen_undecided: {problem}"
    assert error_of(tmp_path, "undecided: skip\n") == f"kaizen.yaml: undecided: {problem}"


def test_whole_yaml(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """\
tasks:
  summarize:
    prompts: texts/sum
    rubric: rubrics/sum.yaml
    gate:
      - {metric: score, min: 0.8, confidence: 0.95}
      - metric: latency_ms
        max: 5000
        share: 0.95
  plain: {}
judge: {model: claude-sonnet-4-5, max_tokens: 100, timeout_s: 5}
endpoints:
  - {api: openai.chat, path: /v2/chat, host: llm.example.com, provider: example}
prices: prices.yaml
""",
    )
    assert config.tasks["plain"] == TaskConfig()
    assert config.tasks["summarize"].rubric == "rubrics/sum.yaml"
    assert config.judge == JudgeConfig(model="claude-sonnet-4-5", max_tokens=100, timeout_s=5)
    endpoint = Endpoint(api="openai.chat", path="/v2/chat", host="llm.example.com", provider="example")
    assert config.endpoints == (endpoint, *DEFAULT_ENDPOINTS)
    assert config.prices == tmp_path / "prices.yaml"
    assert config.task_gates == (
        GateSpec(
            scope=Scope.TASK,
            task="summarize",
            metric="score",
            min=0.8,
            confidence=0.95,
            origin="kaizen.yaml:6",
        ),
        GateSpec(
            scope=Scope.TASK,
            task="summarize",
            metric="latency_ms",
            max=5000,
            share=0.95,
            origin="kaizen.yaml:7",
        ),
    )


def test_prompt_folder(tmp_path: Path) -> None:
    config = load(tmp_path, "tasks: {a: {prompts: texts/a}, b: {}}\n")
    assert config.prompt_folder("a") == tmp_path / "texts/a"
    assert config.prompt_folder("b") == tmp_path / "prompts/b"
    assert config.prompt_folder("unnamed") == tmp_path / "prompts/unnamed"
    assert config.task("unnamed") == TaskConfig()


GATE = "tasks:\n  t:\n    gate:\n      - "


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        (
            "tsaks: {}\n",
            ":1: unknown key 'tsaks' (did you mean 'tasks'?); "
            "valid: agents, backends, baseline, cassettes, concurrency, confidence, endpoints, "
            "gate_correction, judge, max_samples, optimize, prices, prompts, record, redact, samples, "
            "server, store, tasks, undecided, upload_timeout",
        ),
        (
            "tasks:\n  t:\n    promts: x\n",
            ":3: unknown key 'tasks.t.promts' (did you mean 'prompts'?); "
            "valid: custom_fn, gate, optimize, prompts, rubric",
        ),
        ("tasks: [a]\n", ":1: tasks: input should be a valid dictionary"),
        (
            "tasks: {a: }\n",
            ":1: tasks.a: input should be a valid dictionary or instance of TaskConfig (found None)",
        ),
        (
            "judge:\n  temperature: 0\n",
            ":2: unknown key 'judge.temperature'; valid: max_tokens, model, timeout_s, votes",
        ),
        ("judge:\n  max_tokens: 0\n", ":2: judge.max_tokens: input should be greater than 0 (found 0)"),
        (
            "endpoints:\n- {api: cohere, path: /x}\n",
            ":2: endpoints.0.api: input should be 'anthropic.messages', "
            "'openai.chat' or 'openai.responses' (found 'cohere')",
        ),
        (
            "endpoints:\n- api: openai.chat\n  path: x\n",
            ":3: endpoints.0.path: string should match pattern '^/' (found 'x')",
        ),
        ("endpoints:\n- api: openai.chat\n", ":2: 'endpoints.0.path' is missing"),
        (
            GATE + "{metric: score, min: 1.5}\n",
            ":4: tasks.t.gate.0: min of 'score' must lie in [0, 1] (found 1.5)",
        ),
        (
            GATE + "{metric: score}\n",
            ":4: tasks.t.gate.0: give exactly one of min, max and max_drop (found none)",
        ),
        (
            GATE + "{metric: score, min: 0, max: 1}\n",
            ":4: tasks.t.gate.0: give exactly one of min, max and max_drop (found min and max)",
        ),
        (
            GATE + "{metric: calls, max: -1}\n",
            ":4: tasks.t.gate.0: max of 'calls' must not be negative (found -1)",
        ),
        (
            GATE + "{metric: cost_usd, max_drop: 0.1}\n",
            ":4: tasks.t.gate.0: max_drop is for scores; 'cost_usd' takes min or max",
        ),
        (
            GATE + "{metric: calls, max: 3, confidence: 0.9}\n",
            ":4: tasks.t.gate.0: 'calls' has no upper bound, so "
            "confidence needs share: the share of samples within the bar, for example share=0.95",
        ),
        (
            GATE + "{metric: score, max_drop: 0.1, share: 0.5}\n",
            ":4: tasks.t.gate.0: share goes with min or max, not with max_drop",
        ),
        (
            GATE + "{metric: score, mni: 0.5}\n",
            ":4: unknown key 'tasks.t.gate.0.mni' (did you mean 'min'?); "
            "valid: confidence, max, max_drop, metric, min, share",
        ),
        (
            GATE + "{metric: score, min: .nan}\n",
            ":4: tasks.t.gate.0.min: input should be a finite number (found nan)",
        ),
        (
            GATE + "{metric: score, min: 0.5, confidence: 95}\n",
            ":4: tasks.t.gate.0.confidence: input should be less than 1 (found 95)",
        ),
        (
            "agents:\n  bot: {command: x, callable: 'm:f'}\n",
            ":2: agents.bot: give command or callable, not both",
        ),
        (
            "agents:\n  bot: {callable: m}\n",
            ":2: agents.bot.callable: string should match pattern '^[\\w.]+:[\\w.]+$' (found 'm')",
        ),
        ("store: a\nstore: b\n", ":2: 'store' stands twice (first on line 1); keep one"),
        ("store: [\n", ":2: not valid YAML: expected the node content, but found '<stream end>'"),
    ],
)
def test_bad_yaml(tmp_path: Path, yaml: str, message: str) -> None:
    assert error_of(tmp_path, yaml) == f"{tmp_path / 'kaizen.yaml'}{message}"


def test_yaml_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "kaizen.yaml").mkdir()
    assert error_of(tmp_path).startswith(f"{tmp_path / 'kaizen.yaml'}: cannot be read: ")
