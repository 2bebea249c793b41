"""Where results are uploaded to, in all the places where it may be said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.config import BACKENDS, Config, KaizenCTConfig, load_config
from pytest_kaizen.errors import ConfigError


def load(root: Path, yaml: str = "", **places: dict[str, Any]) -> Config:
    (root / "kaizen.yaml").write_text(yaml, encoding="utf-8")
    return load_config(root, **{"env": {}, **places})


def error_of(root: Path, yaml: str = "", **places: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(root, yaml, **places)
    return str(caught.value)


def test_nothing_is_uploaded_by_default(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.upload_to == ()
    assert config.upload_timeout_s == 10.0
    assert config.wait is False
    assert BACKENDS == ("kaizen", "kaizen-ct", "kayba", "kate", "kalmia", "otlp")


def test_a_backend_that_stands_in_the_file_is_uploaded_to(tmp_path: Path) -> None:
    config = load(tmp_path, "backends:\n  otlp: {}\n  kaizen-ct:\n    tasks: {support: a-task}\n")
    assert config.upload_to == ("kaizen-ct", "otlp")
    assert config.backends.kaizen_ct == KaizenCTConfig(tasks={"support": "a-task"}, key_env="KAIZEN_API_KEY")
    assert config.backends.kaizen_ct.optimize is True


def test_the_command_line_wins_over_environment_ini_and_file(tmp_path: Path) -> None:
    yaml = "backends: {kate: {}}\nupload_timeout: 4\n"
    ini = {"backend": "kalmia kayba", "upload_timeout": "3"}
    env = {"KAIZEN_BACKEND": "otlp,kayba", "KAIZEN_UPLOAD_TIMEOUT": "2.5"}
    assert load(tmp_path, yaml).upload_to == ("kate",)
    assert load(tmp_path, yaml).upload_timeout_s == 4
    assert load(tmp_path, yaml, ini=ini).upload_to == ("kalmia", "kayba")
    assert load(tmp_path, yaml, ini=ini).upload_timeout_s == 3
    assert load(tmp_path, yaml, ini=ini, env=env).upload_to == ("otlp", "kayba")
    assert load(tmp_path, yaml, ini=ini, env=env).upload_timeout_s == 2.5
    cli = {"backend": ["local"], "upload_timeout": "0", "wait": True}
    config = load(tmp_path, yaml, ini=ini, env=env, cli=cli)
    assert config.upload_to == ()
    assert config.upload_timeout_s == 0
    assert config.wait is True


def test_one_that_is_named_twice_is_one(tmp_path: Path) -> None:
    cli = {"backend": ["kate", "local", "otlp", "kate"]}
    assert load(tmp_path, cli=cli).upload_to == ("kate", "otlp")


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        (
            "backends: {kaizen_cd: {}}\n",
            "kaizen.yaml:1: unknown key 'backends.kaizen_cd' (did you mean 'kaizen'?); "
            "valid: kaizen, kaizen-ct, kalmia, kate, kayba, otlp",
        ),
        (
            "backends:\n  kate:\n    key: s3cret\n",
            "kaizen.yaml:3: unknown key 'backends.kate.key' (did you mean 'key_env'?); "
            "valid: agent, key_env, url",
        ),
        (
            "backends:\n  kayba:\n    url: use.kayba.ai\n",
            "kaizen.yaml:3: backends.kayba.url: string should match pattern '^https?://' "
            "(found 'use.kayba.ai')",
        ),
        (
            "upload_timeout: -1\n",
            "kaizen.yaml: upload_timeout: expected seconds, 0 or more (found -1.0)",
        ),
    ],
)
def test_bad_settings(tmp_path: Path, yaml: str, message: str) -> None:
    assert error_of(tmp_path, yaml).removeprefix(f"{tmp_path}/") == message


def test_bad_names(tmp_path: Path) -> None:
    assert error_of(tmp_path, cli={"backend": ["lokal"]}) == (
        "--kaizen-backend: expected one of "
        "local, kaizen, kaizen-ct, kayba, kate, kalmia, otlp (found 'lokal')"
    )
    assert error_of(tmp_path, env={"KAIZEN_UPLOAD_TIMEOUT": "soon"}) == (
        "KAIZEN_UPLOAD_TIMEOUT: expected seconds, 0 or more (found 'soon')"
    )
