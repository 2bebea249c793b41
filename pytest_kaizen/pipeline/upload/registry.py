"""The backends that there are."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from ...config import Config
from ...errors import ConfigError, PlatformError
from ...models import ParcelKind
from .backend import Backend


@dataclass(frozen=True)
class BackendType:
    """How a backend is found.

    Attributes:
        module: Its module in this folder, which has ``create(config, env) -> Backend``; imported only
            when it is in use.
        kinds: What it wants to be brought; nothing else is owed to it.
    """

    module: str
    kinds: frozenset[ParcelKind]


#: By the names in ``config.BACKENDS``.
BACKENDS: Mapping[str, BackendType] = {
    "kaizen": BackendType(
        ".kaizen", frozenset({ParcelKind.RUN_BEGUN, ParcelKind.CASE_FINISHED, ParcelKind.RUN_FINISHED})
    ),
    "kaizen-ct": BackendType(".kaizen_ct", frozenset({ParcelKind.SAMPLE, ParcelKind.RUN_FINISHED})),
    "kayba": BackendType(".kayba", frozenset({ParcelKind.CASE_FINISHED, ParcelKind.RUN_FINISHED})),
    "kate": BackendType(
        ".kate", frozenset({ParcelKind.RUN_BEGUN, ParcelKind.SAMPLE, ParcelKind.RUN_FINISHED})
    ),
    "kalmia": BackendType(".kalmia", frozenset({ParcelKind.RUN_BEGUN, ParcelKind.SAMPLE})),
    "otlp": BackendType(".otlp", frozenset({ParcelKind.SAMPLE})),
}


def recipients(config: Config) -> dict[str, frozenset[ParcelKind]]:
    """Return what each backend in use is owed."""
    return {name: BACKENDS[name].kinds for name in config.upload_to}


def open_backend(name: str, config: Config, env: Mapping[str, str]) -> Backend:
    """Make a backend; nothing is sent.

    Args:
        name: One of ``BACKENDS``.
        config: Has its settings.
        env: Has its key.

    Raises:
        ConfigError: The key is missing, or a setting cannot be right: names the variable or the key.
    """
    create = importlib.import_module(BACKENDS[name].module, __package__).create
    try:
        return cast(Backend, create(config, env))
    except PlatformError as exc:
        raise ConfigError(
            f"backend '{name}': {exc.message}; to upload nothing: --kaizen-backend local"
        ) from None
