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
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..models import GateSpec, Scope
from .document import BACKENDS, DEFAULT_ENDPOINTS, LOCAL, OPTIMIZE_MODES, KaizenYaml, OptimizeMode
from .settings import RECORD_MODES, Config, Origin

if TYPE_CHECKING:
    from ..files import YamlFile


KAIZEN_YAML = "kaizen.yaml"

#: The endings that say in which form a report is written.
REPORT_FORMS = (".html", ".md", ".json")


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
    confidence = lookup.get("confidence", parse_confidence, None)
    return Config(
        root=root,
        store=root / lookup.get("store", str, ".kaizen/kaizen.db"),
        prompt_versions=lookup.get("prompt_version", parse_prompt_versions, {}),
        undecided=lookup.get("undecided", one_of("fail", "pass"), "fail"),
        tasks=document.tasks,
        judge=document.judge,
        endpoints=document.endpoints + DEFAULT_ENDPOINTS,
        prices=root / document.prices if document.prices else None,
        judge_cache=lookup.get("judge_cache", parse_switch, True),
        task_gates=tuple(_task_gates(document, file, confidence)),
        baseline=lookup.get("baseline", parse_baseline, None),
        record=lookup.get("record", one_of(*RECORD_MODES), "live"),
        cassettes=document.cassettes,
        redact=document.redact,
        reports=tuple(root / path for path in lookup.get("report", parse_reports, ())),
        upload_to=lookup.get("backend", parse_backends, document.backends.named),
        backends=document.backends,
        prompt_source=document.prompts.source,
        upload_timeout_s=lookup.get("upload_timeout", parse_seconds, 10.0),
        wait=bool((cli or {}).get("wait")),
        server=document.server,
        agents=document.agents,
        save_baseline=bool((cli or {}).get("save_baseline")),
        samples=lookup.get("samples", parse_count, 1),
        max_samples=lookup.get("max_samples", parse_count, None),
        concurrency=lookup.get("concurrency", parse_count, None),
        confidence=confidence,
        gate_correction=lookup.get("gate_correction", one_of("holm", "none"), "none"),
        optimize=lookup.get("optimize", one_of(*OPTIMIZE_MODES), "never"),
        task_optimize=_task_optimize(document, lookup),
        origins=lookup.origins,
    )


def _read(path: Path) -> YamlFile:
    # A project without the file need not wait for the parser to be loaded.
    from ..files import read_yaml

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
    said = replace(lookup, document=None).get("optimize", one_of(*OPTIMIZE_MODES), None)
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


def parse_prompt_versions(value: str | list[str]) -> dict[str, int]:
    """Parse ``TASK=N`` items: a list from the command line, words in ini and environment."""
    versions = {}
    for item in value.split() if isinstance(value, str) else value:
        task, _, number = item.partition("=")
        if not task or not number.isdecimal() or int(number) < 1:
            raise ValueError(f"expected TASK=N with N counted from 1 (found {item!r})")
        versions[task] = int(number)
    return versions


def parse_count(value: Any) -> int:
    """Parse a number counted from 1; YAML gives an int, every other place text."""
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"expected a whole number, 1 or more (found {value!r})")
    return number


def parse_confidence(value: Any) -> float:
    """Parse the probability that a gate states."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0.5 < number < 1:
        raise ValueError(f"expected a number above 0.5 and below 1, such as 0.95 (found {value!r})")
    return number


def parse_baseline(value: str) -> str:
    """Parse what scores are compared with."""
    if value == "branch:":
        raise ValueError("expected a file, last or branch:NAME (found 'branch:' without a name)")
    return value


def parse_backends(value: str | list[str]) -> tuple[str, ...]:
    """Parse names of backends: a list from the command line, words in ini and environment."""
    names = value.replace(",", " ").split() if isinstance(value, str) else value
    for name in names:
        if name not in (LOCAL, *BACKENDS):
            raise ValueError(f"expected one of {', '.join((LOCAL, *BACKENDS))} (found {name!r})")
    return tuple(dict.fromkeys(name for name in names if name != LOCAL))


def parse_seconds(value: Any) -> float:
    """Parse a length of time; 0 is none at all."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError(f"expected seconds, 0 or more (found {value!r})")
    return number


def parse_reports(value: str | list[str]) -> list[str]:
    """Parse report files: a list from the command line, words in ini and environment."""
    paths = value.split() if isinstance(value, str) else value
    for path in paths:
        if PurePath(path).suffix not in REPORT_FORMS:
            *most, last = REPORT_FORMS
            raise ValueError(f"expected a file that ends in {', '.join(most)} or {last} (found {path!r})")
    return paths


def parse_switch(value: str) -> bool:
    """Parse a switch."""
    return one_of("on", "off")(value) == "on"


def one_of(*valid: str) -> Callable[[str], str]:
    """Return a parser that takes these words alone."""

    def parse(value: str) -> str:
        if value not in valid:
            raise ValueError(f"expected one of {', '.join(valid)} (found {value!r})")
        return value

    return parse
