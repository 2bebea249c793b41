"""The sections of ``kaizen.yaml``, as they are written.

A key never stands in the file: ``key_env`` names the variable of the environment that holds it.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ..models import Bar

Text = Annotated[str, Field(min_length=1)]
Url = Annotated[str, Field(pattern="^https?://")]
#: The variable of the environment that holds a key.
Variable = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]

#: The store on this machine, which always has everything.
LOCAL = "local"

DEFAULT_JUDGE_MODEL = "claude-haiku-4-5"
#: Above this many votes the judge's noise is long averaged out, and its bias stays.
MAX_VOTES = 25
OptimizeMode = Literal["never", "propose", "activate", "pr"]
OPTIMIZE_MODES: tuple[OptimizeMode, ...] = get_args(OptimizeMode)
#: The names in ``optimize.ENGINES``.
EngineName = Literal["insights", "gepa", "gepa-plain", "dspy", "dspy-gepa"]
_URL = r"^https?://[^/\s?#@]+(/[^\s?#]*)?$"

AgentId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]


class _Backend(BaseModel, defer_build=True):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class KaizenConfig(_Backend):
    """``backends.kaizen``: a server of ``kaizen serve``, which takes whole runs.

    Attributes:
        url: The server; else ``KAIZEN_BASE_URL``, else ``http://localhost:8000``.
    """

    url: Url | None = None
    key_env: Variable = "KAIZEN_API_KEY"


class KaizenCTConfig(_Backend):
    """``backends.kaizen-ct``.

    Attributes:
        url: The server; else ``KAIZEN_BASE_URL``, else ``http://localhost:8000``.
        tasks: The platform's id or name of a task, where it is not the task's own name.
        optimize: Whether a failed gate starts an optimisation there (as ``--kaizen-optimize`` allows),
            in the place of a search on this machine.
    """

    url: Url | None = None
    key_env: Variable = "KAIZEN_API_KEY"
    tasks: dict[str, Text] = Field(default_factory=dict)
    optimize: bool = True


class KaybaConfig(_Backend):
    """``backends.kayba``.

    Attributes:
        url: The server, with ``/api``; else ``KAYBA_API_URL``, else ``https://use.kayba.ai/api``.
        labels: The label of a task's prompts there, where it is not the task's own name.
    """

    url: Url | None = None
    key_env: Variable = "KAYBA_API_KEY"
    labels: dict[str, Text] = Field(default_factory=dict)


class KateConfig(_Backend):
    """``backends.kate``.

    Attributes:
        url: The server; else ``KATE_API_URL``, else ``https://api.projectkate.com``.
        agent: The agent whose runs these are; else ``KATE_AGENT_ID``.
    """

    url: Url | None = None
    key_env: Variable = "KATE_API_KEY"
    agent: Text | None = None


class KalmiaConfig(_Backend):
    """``backends.kalmia``.

    Attributes:
        url: The server, without ``/api``; else ``KALMIA_BASE_URL``, else ``https://www.kalmia.dev``.
        project: The project that the traces belong to; the name of the root folder by default.
    """

    url: Url | None = None
    key_env: Variable = "KALMIA_API_KEY"
    project: Text | None = None


class OtlpConfig(_Backend):
    """``backends.otlp``.

    Attributes:
        url: The collector, to which ``/v1/traces`` is added; else ``OTEL_EXPORTER_OTLP_ENDPOINT``.
        headers_env: The variable that holds further headers, as ``name=value,name=value``.
    """

    url: Url | None = None
    headers_env: Variable = "OTEL_EXPORTER_OTLP_HEADERS"


class BackendsConfig(_Backend):
    """``backends`` in ``kaizen.yaml``: those that stand there are uploaded to."""

    kaizen: KaizenConfig = Field(default_factory=KaizenConfig.model_construct)
    kaizen_ct: KaizenCTConfig = Field(default_factory=KaizenCTConfig.model_construct, alias="kaizen-ct")
    kayba: KaybaConfig = Field(default_factory=KaybaConfig.model_construct)
    kate: KateConfig = Field(default_factory=KateConfig.model_construct)
    kalmia: KalmiaConfig = Field(default_factory=KalmiaConfig.model_construct)
    otlp: OtlpConfig = Field(default_factory=OtlpConfig.model_construct)

    @property
    def named(self) -> tuple[str, ...]:
        """The backends that stand in the file."""
        given = self.model_fields_set
        return tuple(
            name for name, field in zip(BACKENDS, type(self).model_fields, strict=True) if field in given
        )


#: What results can be uploaded to, by the names that options and files use.
BACKENDS = tuple(field.alias or name for name, field in BackendsConfig.model_fields.items())


def _compilable(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as exc:
        raise ValueError(f"not a regular expression: {exc}") from None
    return pattern


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_compilable)]


class SharesConfig(BaseModel, defer_build=True):
    """``tasks.<name>.optimize.shares`` in ``kaizen.yaml``: how a task's cases are split.

    Attributes:
        search: The share that an engine searches in.
        validation: The share that picks among its candidates; the rest is held out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    search: float = Field(default=0.5, gt=0, lt=1)
    validation: float = Field(default=0.2, ge=0, lt=1)

    @model_validator(mode="after")
    def _leave_a_share(self) -> SharesConfig:
        if self.search + self.validation >= 1:
            raise ValueError("search and validation must leave a share held out, so their sum is below 1")
        return self


class OptimizeConfig(BaseModel, defer_build=True):
    """``tasks.<name>.optimize`` in ``kaizen.yaml``: how a better prompt is searched for.

    Attributes:
        mode: What follows on a failed gate of the task, where neither the command line nor the
            environment nor the ini file says.
        engine: How it is searched for.
        budget_usd: What a search may cost at most.
        max_rollouts: How many cases it may run at most.
        min_gain: What a candidate has to gain more than, in the mean score.
        confidence: Of the proof.
        shares: How the cases are split.
        samples: How often each held-out case runs under each prompt.
        epochs: How often the search may pass over its cases.
        reading: ``recursive`` lets the reflecting model read the spans of long traces one by one.
        model: The model that reflects; the judge's by default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: OptimizeMode | None = None
    engine: EngineName | None = None
    budget_usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_rollouts: int | None = Field(default=None, ge=1)
    min_gain: float = Field(default=0.02, ge=0, lt=1)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    shares: SharesConfig = Field(default_factory=SharesConfig.model_construct)
    samples: int = Field(default=1, ge=1)
    epochs: int = Field(default=8, ge=1)
    reading: Literal["standard", "recursive"] = "standard"
    model: str | None = Field(default=None, min_length=1)


class TaskConfig(BaseModel, defer_build=True):
    """``tasks.<name>`` in ``kaizen.yaml``.

    Attributes:
        prompts: The folder of the task's prompt files; ``prompts/<name>`` unless said otherwise.
        rubric: A rubric that scores every case of the task.
        gate: Rules over all the cases of the task.
        custom_fn: ``module:function`` that scores outputs for logged feedback; called as the check
            ``python`` of a rubric is.
        optimize: How a better prompt for it is searched for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts: str | None = None
    rubric: str | None = None
    gate: tuple[Bar, ...] = ()
    custom_fn: str | None = None
    optimize: OptimizeConfig = Field(default_factory=OptimizeConfig.model_construct)


class JudgeConfig(BaseModel, defer_build=True):
    """``judge`` in ``kaizen.yaml``: the model that judges criteria without a check.

    Attributes:
        votes: How often each output is judged, where its rubric does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = DEFAULT_JUDGE_MODEL
    max_tokens: int = Field(default=2048, gt=0)
    timeout_s: float = Field(default=60.0, gt=0)
    votes: int = Field(default=1, ge=1, le=MAX_VOTES)


class PromptsConfig(BaseModel, defer_build=True):
    """``prompts`` in ``kaizen.yaml``.

    Attributes:
        source: ``from``: the files here, the versions that are active at Kaizen CT, or the newest at Kayba.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    source: Literal["files", "kaizen-ct", "kayba"] = Field(default="files", alias="from")


class Endpoint(BaseModel, defer_build=True):
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
    Endpoint.model_construct(api="anthropic.messages", path="/v1/messages"),
    Endpoint.model_construct(api="openai.chat", path="/chat/completions"),
    Endpoint.model_construct(api="openai.responses", path="/v1/responses"),
)


class CassettesConfig(BaseModel, defer_build=True):
    """``cassettes`` in ``kaizen.yaml``: what may differ between a request and its record.

    Attributes:
        ignore_fields: Paths in JSON bodies, such as ``metadata.session``; ``*`` is any key or item.
        ignore_text: Regular expressions; what they match in texts may differ, such as a date.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ignore_fields: tuple[str, ...] = ()
    ignore_text: tuple[Pattern, ...] = ()


class ServerConfig(BaseModel, defer_build=True):
    """``server`` in ``kaizen.yaml``: what ``kaizen serve`` serves, and how much of it.

    Attributes:
        anthropic_url: Where ``/api/v1/messages`` is passed on to; ``/v1/messages`` is added.
        openai_url: Where ``/api/v1/chat/completions`` is passed on to; ``/chat/completions`` is added.
        max_body_bytes: The longest body of a request, also when it is decompressed.
        max_batch: The most items in one request that takes a list.
        requests_per_s: Requests a second that a key may make on average; twice as many at once.
        jobs_at_once: Jobs that one process does at the same time.
        allow_private_hosts: Whether what keys can set (integrations, git hosts) may name servers in private
            networks and on this machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    anthropic_url: str = Field(default="https://api.anthropic.com", pattern=_URL)
    openai_url: str = Field(default="https://api.openai.com/v1", pattern=_URL)
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)
    max_batch: int = Field(default=1000, ge=1)
    requests_per_s: float = Field(default=1000.0, gt=0)
    jobs_at_once: int = Field(default=4, ge=1)
    allow_private_hosts: bool = False


class AgentConfig(BaseModel, defer_build=True):
    """``agents.<id>`` in ``kaizen.yaml``: how a server evaluates an agent's runs, and how it runs the agent.

    Attributes:
        command: Runs it: the input comes on standard input, the answer goes to standard output.
        callable: ``module:function`` that takes the input and returns the answer, in place of ``command``.
        timeout_s: What runs for longer is ended.
        rubric: What scores its runs; without one, a single question about the agent's objective.
        judge: The model that judges; ``judge.model`` by default.
        cooldown_s: Seconds from an evaluation to the next; runs that end between are not evaluated.
        max_drop: How far the mean score of the newest runs may fall below that of the runs before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str | None = Field(default=None, pattern=r"\S")
    callable: str | None = Field(default=None, pattern=r"^[\w.]+:[\w.]+$")
    timeout_s: float = Field(default=600.0, gt=0)
    rubric: str | None = None
    judge: str | None = Field(default=None, min_length=1)
    cooldown_s: float = Field(default=60.0, ge=0)
    max_drop: float = Field(default=0.05, gt=0, le=1)

    @model_validator(mode="after")
    def _run_one_way(self) -> AgentConfig:
        if self.command is not None and self.callable is not None:
            raise ValueError("give command or callable, not both")
        return self

    @property
    def is_run(self) -> bool:
        """Whether the server can run it."""
        return self.command is not None or self.callable is not None


class KaizenYaml(BaseModel, defer_build=True):
    """The whole of ``kaizen.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: dict[str, TaskConfig] = Field(default_factory=dict)
    judge: JudgeConfig = Field(default_factory=JudgeConfig.model_construct)
    prompts: PromptsConfig = Field(default_factory=PromptsConfig.model_construct)
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
    cassettes: CassettesConfig = Field(default_factory=CassettesConfig.model_construct)
    redact: tuple[Pattern, ...] = ()
    backends: BackendsConfig = Field(default_factory=BackendsConfig.model_construct)
    upload_timeout: float | None = None
    server: ServerConfig = Field(default_factory=ServerConfig.model_construct)
    agents: dict[AgentId, AgentConfig] = Field(default_factory=dict)
