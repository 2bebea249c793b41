"""Configuration: one frozen ``Config``, resolved once.

A setting is looked up on the command line, then in the environment (``KAIZEN_STORE``), then in
pytest's ini file or ``pyproject.toml`` (``kaizen_store``), then in ``kaizen.yaml`` (``store``), and
else has its default. What is not a single value (tasks, judge, endpoints) stands in ``kaizen.yaml``
alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .errors import ConfigError
from .models import Bar, GateSpec, Scope

if TYPE_CHECKING:
    from .yamlfile import YamlFile

KAIZEN_YAML = "kaizen.yaml"
BASELINE_FILE = "kaizen-baseline.json"
DEFAULT_JUDGE_MODEL = "claude-haiku-4-5"
#: Above this many votes the judge's noise is long averaged out, and its bias stays.
MAX_VOTES = 25
#: Where a gate states a confidence and nobody says how many samples it may cost. A case that always
#: scores 1 passes a bar of 0.8 at 95 % after 20.
DEFAULT_MAX_SAMPLES = 40
#: Samples of an async test under way at once, where nobody says otherwise.
DEFAULT_ASYNC_CONCURRENCY = 8
RecordMode = Literal["live", "replay", "new", "all"]
RECORD_MODES: tuple[RecordMode, ...] = get_args(RecordMode)


def _compilable(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as exc:
        raise ValueError(f"not a regular expression: {exc}") from None
    return pattern


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_compilable)]


class TaskConfig(BaseModel):
    """``tasks.<name>`` in ``kaizen.yaml``.

    Attributes:
        prompts: The folder of the task's prompt files; ``prompts/<name>`` unless said otherwise.
        rubric: A rubric that scores every case of the task.
        gate: Rules over all the cases of the task.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts: str | None = None
    rubric: str | None = None
    gate: tuple[Bar, ...] = ()


class JudgeConfig(BaseModel):
    """``judge`` in ``kaizen.yaml``: the model that judges criteria without a check.

    Attributes:
        votes: How often each output is judged, where its rubric does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = DEFAULT_JUDGE_MODEL
    max_tokens: int = Field(default=2048, gt=0)
    timeout_s: float = Field(default=60.0, gt=0)
    votes: int = Field(default=1, ge=1, le=MAX_VOTES)


class Endpoint(BaseModel):
    """Which requests are LLM calls: ``endpoints`` in ``kaizen.yaml``.

    Attributes:
        api: The protocol spoken there, which says how request and response are read.
        path: The end of the URL's path, whole segments: ``/v1/messages``.
        host: The host, ``*`` for any.
        provider: ``gen_ai.provider.name`` of the spans; by the protocol when not given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    api: Literal["anthropic.messages", "openai.chat", "openai.responses"]
    path: str = Field(pattern="^/")
    host: str = "*"
    provider: str | None = None


DEFAULT_ENDPOINTS = (
    Endpoint(api="anthropic.messages", path="/v1/messages"),
    Endpoint(api="openai.chat", path="/chat/completions"),
    Endpoint(api="openai.responses", path="/v1/responses"),
)


class CassettesConfig(BaseModel):
    """``cassettes`` in ``kaizen.yaml``: what may differ between a request and its record.

    Attributes:
        ignore_fields: Paths in JSON bodies, such as ``metadata.session``; ``*`` is any key or item.
        ignore_text: Regular expressions; what they match in texts may differ, such as a date.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ignore_fields: tuple[str, ...] = ()
    ignore_text: tuple[Pattern, ...] = ()


class KaizenYaml(BaseModel):
    """The whole of ``kaizen.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: dict[str, TaskConfig] = Field(default_factory=dict)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    endpoints: tuple[Endpoint, ...] = ()
    prices: str | None = None
    store: str | None = None
    undecided: str | None = None
    baseline: str | None = None
    samples: int | None = None
    max_samples: int | None = None
    concurrency: int | None = None
    confidence: float | None = None
    gate_correction: str | None = None
    optimize: str | None = None
    record: str | None = None
    cassettes: CassettesConfig = field(default_factory=CassettesConfig)
    redact: tuple[Pattern, ...] = ()


@dataclass(frozen=True)
class Config:
    """Everything that can be set, resolved.

    Attributes:
        root: The folder that relative paths start from (pytest's rootdir).
        store: The database file.
        prompt_versions: Versions to run instead of the active ones, by task.
        undecided: What an undecided gate does to its test: ``fail`` or ``pass``.
        endpoints: The user's endpoints first, then the two known APIs on any host.
        prices: The user's price table, on top of the one that ships.
        baseline: What scores are compared with: ``last``, ``branch:NAME`` or a file as it was given;
            None for the default file, if it is there.
        save_baseline: Write the baseline file at the end of this run.
        judge_cache: Whether the judge's answers are kept in the store and used again.
        samples: How often each case's body runs at least, where its marker does not say.
        max_samples: How often at most, where a gate with a confidence is still undecided; None:
            ``DEFAULT_MAX_SAMPLES`` for a gate on a case, no more than ``samples`` for one on a task.
        concurrency: Samples of a case under way at once; None: several for async tests, one for
            others.
        confidence: Of every gate on a mean or a rate that states none; None: compare means.
        gate_correction: ``holm``: errors hold over all gates of the session; ``none``: for each.
        optimize: What follows on a task's failed gate: nothing, a search for a better prompt that
            proposes it, or one that also makes it the active version where the proof suffices.
        record: What is done with the tests' calls; a marker on a test goes before it.
        redact: The user's own patterns of what must not be kept.
    """

    root: Path
    store: Path
    prompt_versions: Mapping[str, int] = field(default_factory=dict)
    undecided: Literal["fail", "pass"] = "fail"
    tasks: Mapping[str, TaskConfig] = field(default_factory=dict)
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    endpoints: tuple[Endpoint, ...] = DEFAULT_ENDPOINTS
    prices: Path | None = None
    judge_cache: bool = True
    task_gates: tuple[GateSpec, ...] = ()
    baseline: str | None = None
    save_baseline: bool = False
    samples: int = 1
    max_samples: int | None = None
    concurrency: int | None = None
    confidence: float | None = None
    gate_correction: Literal["holm", "none"] = "none"
    optimize: Literal["never", "propose", "activate"] = "never"
    record: RecordMode = "live"
    cassettes: CassettesConfig = field(default_factory=CassettesConfig)
    redact: tuple[str, ...] = ()

    @property
    def baseline_in_store(self) -> bool:
        """Whether the baseline is a run in the store, not a file."""
        return self.baseline is not None and (self.baseline == "last" or self.baseline.startswith("branch:"))

    @property
    def baseline_file(self) -> Path:
        """The file that a baseline is saved to, and read from unless it is a run in the store."""
        return self.root / (
            BASELINE_FILE if self.baseline is None or self.baseline_in_store else self.baseline
        )

    def task(self, name: str) -> TaskConfig:
        """Return a task's settings; the defaults for one that ``kaizen.yaml`` does not name."""
        return self.tasks.get(name, _NO_TASK)

    def prompt_folder(self, task: str) -> Path:
        """Return the folder that holds a task's prompt files."""
        return self.root / (self.task(task).prompts or f"prompts/{task}")


_NO_TASK = TaskConfig()


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
    document = file.parse(KaizenYaml) if file else KaizenYaml()
    lookup = _Lookup(cli or {}, ini or {}, os.environ if env is None else env, document, file)
    confidence = lookup.get("confidence", _confidence, None)
    return Config(
        root=root,
        store=root / lookup.get("store", str, ".kaizen/kaizen.db"),
        prompt_versions=lookup.get("prompt_version", _prompt_versions, {}),
        undecided=lookup.get("undecided", _one_of("fail", "pass"), "fail"),
        tasks=document.tasks,
        judge=document.judge,
        endpoints=document.endpoints + DEFAULT_ENDPOINTS,
        prices=root / document.prices if document.prices else None,
        judge_cache=lookup.get("judge_cache", _on_off, True),
        task_gates=tuple(_task_gates(document, file, confidence)),
        baseline=lookup.get("baseline", _baseline, None),
        record=lookup.get("record", _one_of(*RECORD_MODES), "live"),
        cassettes=document.cassettes,
        redact=document.redact,
        save_baseline=bool((cli or {}).get("save_baseline")),
        samples=lookup.get("samples", _count, 1),
        max_samples=lookup.get("max_samples", _count, None),
        concurrency=lookup.get("concurrency", _count, None),
        confidence=confidence,
        gate_correction=lookup.get("gate_correction", _one_of("holm", "none"), "none"),
        optimize=lookup.get("optimize", _one_of("never", "propose", "activate"), "never"),
    )


def _read(path: Path) -> YamlFile:
    # A project without the file need not wait for the parser to be loaded.
    from .yamlfile import read_yaml

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


@dataclass(frozen=True)
class _Lookup:
    """The order in which a setting is looked up, written once."""

    cli: Mapping[str, Any]
    ini: Mapping[str, Any]
    env: Mapping[str, str]
    document: KaizenYaml
    file: YamlFile | None

    def get(self, name: str, parse: Callable[[Any], Any], default: Any) -> Any:
        variable = f"KAIZEN_{name.upper()}"
        places = (
            (self.cli.get(name), f"--kaizen-{name.replace('_', '-')}"),
            (self.env.get(variable) or None, variable),
            (self.ini.get(name) or None, f"ini key kaizen_{name}"),
            (getattr(self.document, name, None), f"{KAIZEN_YAML}: {name}"),
        )
        for value, place in places:
            if value is not None:
                try:
                    return parse(value)
                except ValueError as exc:
                    raise ConfigError(f"{place}: {exc}") from None
        return default


def _prompt_versions(value: str | list[str]) -> dict[str, int]:
    """Parse ``TASK=N`` items: a list from the command line, words in ini and environment."""
    versions = {}
    for item in value.split() if isinstance(value, str) else value:
        task, _, number = item.partition("=")
        if not task or not number.isdecimal() or int(number) < 1:
            raise ValueError(f"expected TASK=N with N counted from 1 (found {item!r})")
        versions[task] = int(number)
    return versions


def _count(value: Any) -> int:
    """Parse a number counted from 1; YAML gives an int, every other place text."""
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"expected a whole number, 1 or more (found {value!r})")
    return number


def _confidence(value: Any) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0.5 < number < 1:
        raise ValueError(f"expected a number above 0.5 and below 1, such as 0.95 (found {value!r})")
    return number


def _baseline(value: str) -> str:
    if value == "branch:":
        raise ValueError("expected a file, last or branch:NAME (found 'branch:' without a name)")
    return value


def _on_off(value: str) -> bool:
    return _one_of("on", "off")(value) == "on"


def _one_of(*valid: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in valid:
            raise ValueError(f"expected one of {', '.join(valid)} (found {value!r})")
        return value

    return parse


__all__ = [
    "RECORD_MODES",
    "CassettesConfig",
    "Config",
    "Endpoint",
    "JudgeConfig",
    "KaizenYaml",
    "RecordMode",
    "TaskConfig",
    "load_config",
]
