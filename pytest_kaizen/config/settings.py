"""What is in force: one frozen ``Config``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from ..models import GateSpec
from .document import (
    DEFAULT_ENDPOINTS,
    AgentConfig,
    BackendsConfig,
    CassettesConfig,
    Endpoint,
    JudgeConfig,
    OptimizeMode,
    ServerConfig,
    TaskConfig,
)

BASELINE_FILE = "kaizen-baseline.json"
#: Where a gate states a confidence and nobody says how many samples it may cost. A case that always
#: scores 1 passes a bar of 0.8 at 95 % after 20.
DEFAULT_MAX_SAMPLES = 40
#: Samples of an async test under way at once, where nobody says otherwise.
DEFAULT_ASYNC_CONCURRENCY = 8
RecordMode = Literal["live", "replay", "new", "all"]
RECORD_MODES: tuple[RecordMode, ...] = get_args(RecordMode)
_NO_TASK = TaskConfig.model_construct()


class Origin(NamedTuple):
    """Where a setting comes from.

    Attributes:
        place: The option, the variable, the ini key, or the key in ``kaizen.yaml``.
        value: As it stands there; None for a section of ``kaizen.yaml``.
    """

    place: str
    value: str | None = None


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
        optimize: What follows on a task's failed gate: nothing, or a search for a better prompt that
            proposes it (``propose``), makes it the active version where the proof suffices
            (``activate``), or opens a pull request (``pr``).
        task_optimize: The same for single tasks, of those in ``kaizen.yaml``.
        record: What is done with the tests' calls; a marker on a test goes before it.
        redact: The user's own patterns of what must not be kept.
        reports: The files that a report of the run is written to; the ending says in which form.
        upload_to: The backends that results are uploaded to, besides the store.
        backends: The settings of all backends.
        upload_timeout_s: Seconds that a session waits at its end for what is not uploaded yet.
        prompt_source: Where the prompts of tasks are kept.
        wait: Wait for the work that was begun at a platform.
        server: What ``kaizen serve`` serves, and how much of it.
        agents: Agents whose runs a server evaluates, and those that it runs, by id.
        origins: Where the settings come from that have not their default.
    """

    root: Path
    store: Path
    prompt_versions: Mapping[str, int] = field(default_factory=dict)
    undecided: Literal["fail", "pass"] = "fail"
    tasks: Mapping[str, TaskConfig] = field(default_factory=dict)
    judge: JudgeConfig = field(default_factory=JudgeConfig.model_construct)
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
    optimize: OptimizeMode = "never"
    task_optimize: Mapping[str, OptimizeMode] = field(default_factory=dict)
    record: RecordMode = "live"
    cassettes: CassettesConfig = field(default_factory=CassettesConfig.model_construct)
    redact: tuple[str, ...] = ()
    reports: tuple[Path, ...] = ()
    upload_to: tuple[str, ...] = ()
    backends: BackendsConfig = field(default_factory=BackendsConfig.model_construct)
    upload_timeout_s: float = 10.0
    prompt_source: Literal["files", "kaizen-ct", "kayba"] = "files"
    wait: bool = False
    server: ServerConfig = field(default_factory=ServerConfig.model_construct)
    agents: Mapping[str, AgentConfig] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False)

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

    @property
    def searches_elsewhere(self) -> bool:
        """Whether a platform searches for better prompts, so that none is searched for here."""
        return "kaizen-ct" in self.upload_to and self.backends.kaizen_ct.optimize

    @property
    def optimizes(self) -> bool:
        """Whether a search for a better prompt may follow on a failed gate of any task."""
        return any(mode != "never" for mode in (self.optimize, *self.task_optimize.values()))

    def optimize_mode(self, task: str) -> OptimizeMode:
        """Return what follows on a failed gate of a task."""
        return self.task_optimize.get(task, self.optimize)

    def task(self, name: str) -> TaskConfig:
        """Return a task's settings; the defaults for one that ``kaizen.yaml`` does not name."""
        return self.tasks.get(name, _NO_TASK)

    def agent(self, agent_id: str) -> AgentConfig:
        """Return an agent's settings; the defaults for one that ``kaizen.yaml`` does not name."""
        return self.agents.get(agent_id) or AgentConfig()

    def prompt_folder(self, task: str) -> Path:
        """Return the folder that holds a task's prompt files."""
        return self.root / (self.task(task).prompts or f"prompts/{task}")
