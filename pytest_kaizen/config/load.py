"""Reads the configuration.

A setting is looked up on the command line, then in the environment (``KAIZEN_STORE``), then in
pytest's ini file or ``pyproject.toml`` (``kaizen_store``), then in ``kaizen.yaml`` (``store``), and
else has its default. What is not a single value (tasks, judge, endpoints) stands in ``kaizen.yaml``
alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..models import GateSpec, Scope
from . import parse
from .document import DEFAULT_ENDPOINTS, OPTIMIZE_MODES, KaizenYaml, OptimizeMode
from .settings import RECORD_MODES, Config, Origin

if TYPE_CHECKING:
    from ..yamlfile import YamlFile

KAIZEN_YAML = "kaizen.yaml"


def load_config(
    root: Path,
    *,
    cli: Mapping[str, Any] | None = None,
    ini: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Config:
    """Resolve the configuration.

    Args:
        root: The folder with ``kaizen.yaml`` (which may be absent).
        cli: Values from the command line, by setting; absent or None: not given.
        ini: Values from pytest's ini file, by setting, likewise.
        env: The environment; the process's own by default.

    Raises:
        ConfigError: With the place, the key, the bad value and the valid ones.
    """
    path = root / KAIZEN_YAML
    file = _read(path) if path.exists() else None
    document = file.parse(KaizenYaml) if file else KaizenYaml.model_construct()
    lookup = _Lookup(cli or {}, ini or {}, os.environ if env is None else env, document, file)
    for section in document.model_fields_set:
        lookup.origins[section] = Origin(f"{KAIZEN_YAML}: {section}")
    confidence = lookup.get("confidence", parse.confidence, None)
    return Config(
        root=root,
        store=root / lookup.get("store", str, ".kaizen/kaizen.db"),
        prompt_versions=lookup.get("prompt_version", parse.prompt_versions, {}),
        undecided=lookup.get("undecided", parse.one_of("fail", "pass"), "fail"),
        tasks=document.tasks,
        judge=document.judge,
        endpoints=document.endpoints + DEFAULT_ENDPOINTS,
        prices=root / document.prices if document.prices else None,
        judge_cache=lookup.get("judge_cache", parse.on_off, True),
        task_gates=tuple(_task_gates(document, file, confidence)),
        baseline=lookup.get("baseline", parse.baseline, None),
        record=lookup.get("record", parse.one_of(*RECORD_MODES), "live"),
        cassettes=document.cassettes,
        redact=document.redact,
        reports=tuple(root / path for path in lookup.get("report", parse.reports, ())),
        upload_to=lookup.get("backend", parse.backends, document.backends.named),
        backends=document.backends,
        prompt_source=document.prompts.source,
        upload_timeout_s=lookup.get("upload_timeout", parse.seconds, 10.0),
        wait=bool((cli or {}).get("wait")),
        server=document.server,
        agents=document.agents,
        save_baseline=bool((cli or {}).get("save_baseline")),
        samples=lookup.get("samples", parse.count, 1),
        max_samples=lookup.get("max_samples", parse.count, None),
        concurrency=lookup.get("concurrency", parse.count, None),
        confidence=confidence,
        gate_correction=lookup.get("gate_correction", parse.one_of("holm", "none"), "none"),
        optimize=lookup.get("optimize", parse.one_of(*OPTIMIZE_MODES), "never"),
        task_optimize=_task_optimize(document, lookup),
        origins=lookup.origins,
    )


def _read(path: Path) -> YamlFile:
    # A project without the file need not wait for the parser to be loaded.
    from ..yamlfile import read_yaml

    return read_yaml(path, error=ConfigError)


def _task_gates(document: KaizenYaml, file: YamlFile | None, confidence: float | None) -> list[GateSpec]:
    gates = []
    for task, settings in document.tasks.items():
        for index, bar in enumerate(settings.gate):
            line = file.line(("tasks", task, "gate", index)) if file else None
            origin = f"{KAIZEN_YAML}:{line}"
            spec = GateSpec(scope=Scope.TASK, task=task, origin=origin, **bar.model_dump())
            gates.append(spec.with_default_confidence(confidence))
    return gates


def _task_optimize(document: KaizenYaml, lookup: _Lookup) -> dict[str, OptimizeMode]:
    """What the task says counts below what is said for this run, and above what is said for all."""
    said = replace(lookup, document=None).get("optimize", parse.one_of(*OPTIMIZE_MODES), None)
    modes = {task: said or settings.optimize.mode for task, settings in document.tasks.items()}
    return {task: mode for task, mode in modes.items() if mode is not None}


@dataclass(frozen=True)
class _Lookup:
    """The order in which a setting is looked up, written once."""

    cli: Mapping[str, Any]
    ini: Mapping[str, Any]
    env: Mapping[str, str]
    document: KaizenYaml | None
    file: YamlFile | None
    origins: dict[str, Origin] = field(default_factory=dict)

    def get(self, name: str, read: Callable[[Any], Any], default: Any) -> Any:
        variable = f"KAIZEN_{name.upper()}"
        places = (
            (self.cli.get(name), f"--kaizen-{name.replace('_', '-')}"),
            (self.env.get(variable) or None, variable),
            (self.ini.get(name) or None, f"ini key kaizen_{name}"),
            (getattr(self.document, name, None), f"{KAIZEN_YAML}: {name}"),
        )
        for value, place in places:
            if value is not None:
                self.origins[name] = Origin(place, str(value))
                try:
                    return read(value)
                except ValueError as exc:
                    raise ConfigError(f"{place}: {exc}") from None
        return default
