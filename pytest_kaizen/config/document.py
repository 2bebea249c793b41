"""The sections of ``kaizen.yaml``, as they are written."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..models import Bar
from .backends import BackendsConfig

DEFAULT_JUDGE_MODEL = "claude-haiku-4-5"
#: Above this many votes the judge's noise is long averaged out, and its bias stays.
MAX_VOTES = 25
_URL = r"^https?://[^/\s?#@]+(/[^\s?#]*)?$"


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
        custom_fn: ``module:function`` that scores outputs for logged feedback; called as the check
            ``python`` of a rubric is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts: str | None = None
    rubric: str | None = None
    gate: tuple[Bar, ...] = ()
    custom_fn: str | None = None


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


class PromptsConfig(BaseModel):
    """``prompts`` in ``kaizen.yaml``.

    Attributes:
        source: ``from``: the files here, or the versions that are active at Kaizen CT.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    source: Literal["files", "kaizen-ct"] = Field(default="files", alias="from")


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


class ServerConfig(BaseModel):
    """``server`` in ``kaizen.yaml``: what ``kaizen serve`` serves, and how much of it.

    Attributes:
        anthropic_url: Where ``/api/v1/messages`` is passed on to; ``/v1/messages`` is added.
        openai_url: Where ``/api/v1/chat/completions`` is passed on to; ``/chat/completions`` is added.
        max_body_bytes: The longest body of a request, also when it is decompressed.
        max_batch: The most items in one request that takes a list.
        requests_per_s: Requests a second that a key may make on average; twice as many at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    anthropic_url: str = Field(default="https://api.anthropic.com", pattern=_URL)
    openai_url: str = Field(default="https://api.openai.com/v1", pattern=_URL)
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)
    max_batch: int = Field(default=1000, ge=1)
    requests_per_s: float = Field(default=1000.0, gt=0)


class KaizenYaml(BaseModel):
    """The whole of ``kaizen.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: dict[str, TaskConfig] = Field(default_factory=dict)
    judge: JudgeConfig = Field(default_factory=JudgeConfig)
    prompts: PromptsConfig = Field(default_factory=PromptsConfig)
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
    cassettes: CassettesConfig = Field(default_factory=CassettesConfig)
    redact: tuple[Pattern, ...] = ()
    backends: BackendsConfig = Field(default_factory=BackendsConfig)
    upload_timeout: float | None = None
    server: ServerConfig = Field(default_factory=ServerConfig)
