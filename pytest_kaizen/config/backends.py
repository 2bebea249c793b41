"""The sections of ``kaizen.yaml`` about where results are uploaded to.

A key never stands in the file: ``key_env`` names the variable of the environment that holds it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
Url = Annotated[str, Field(pattern="^https?://")]
#: The variable of the environment that holds a key.
Variable = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]


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


#: The store on this machine, which always has everything.
LOCAL = "local"
#: What results can be uploaded to, by the names that options and files use.
BACKENDS = tuple(field.alias or name for name, field in BackendsConfig.model_fields.items())
