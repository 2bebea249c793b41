"""Configuration: one frozen ``Config``, resolved once from all the places where a setting may stand."""

from .backends import (
    BACKENDS,
    LOCAL,
    BackendsConfig,
    KaizenCTConfig,
    KalmiaConfig,
    KateConfig,
    KaybaConfig,
    OtlpConfig,
)
from .document import (
    DEFAULT_ENDPOINTS,
    DEFAULT_JUDGE_MODEL,
    MAX_VOTES,
    CassettesConfig,
    Endpoint,
    JudgeConfig,
    KaizenYaml,
    ServerConfig,
    TaskConfig,
)
from .load import KAIZEN_YAML, load_config
from .settings import (
    BASELINE_FILE,
    DEFAULT_ASYNC_CONCURRENCY,
    DEFAULT_MAX_SAMPLES,
    RECORD_MODES,
    Config,
    RecordMode,
)

__all__ = [
    "BACKENDS",
    "BASELINE_FILE",
    "DEFAULT_ASYNC_CONCURRENCY",
    "DEFAULT_ENDPOINTS",
    "DEFAULT_JUDGE_MODEL",
    "DEFAULT_MAX_SAMPLES",
    "KAIZEN_YAML",
    "LOCAL",
    "MAX_VOTES",
    "RECORD_MODES",
    "BackendsConfig",
    "CassettesConfig",
    "Config",
    "Endpoint",
    "JudgeConfig",
    "KaizenCTConfig",
    "KaizenYaml",
    "KalmiaConfig",
    "KateConfig",
    "KaybaConfig",
    "OtlpConfig",
    "RecordMode",
    "ServerConfig",
    "TaskConfig",
    "load_config",
]
