"""The configuration of the project that a command works on.

It is resolved as ``pytest --kaizen`` does it, with the ``kaizen_…`` keys of pytest's configuration
file, which is found as pytest finds it.
"""

from __future__ import annotations

import argparse
import configparser
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import Config, load_config
from ..errors import ConfigError

_INI_PREFIX = "kaizen_"

# In pytest's order. The sections of each file, from which the first one that is there counts; the
# files that are named after pytest count without any.
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "pytest.toml": ("pytest",),
    ".pytest.toml": ("pytest",),
    "pytest.ini": ("pytest",),
    ".pytest.ini": ("pytest",),
    "pyproject.toml": ("tool.pytest.ini_options", "tool.pytest"),
    "tox.ini": ("pytest",),
    "setup.cfg": ("tool:pytest",),
}


def config_for(args: argparse.Namespace) -> Config:
    """Resolve the configuration of the project that a command works on.

    The environment, pytest's configuration file and ``kaizen.yaml`` count as they do for
    ``pytest --kaizen``, so that a command finds the store that the plugin wrote.

    Args:
        args: The parsed arguments; ``root`` is the project's folder.

    Raises:
        ConfigError: A setting is wrong.
    """
    return load_config(args.root, ini=read_ini(args.root))


def read_ini(root: Path) -> dict[str, str]:
    """Read the settings in pytest's configuration file.

    Of the files in ``root``, the first one counts that configures pytest: ``pytest.toml`` and
    ``pytest.ini`` always do, the others when they have the section. A list becomes its items,
    parted by line breaks.

    Returns:
        The values by setting, without the prefix: ``{"store": "build/kaizen.db"}``.

    Raises:
        ConfigError: The file cannot be read.
    """
    return {
        key.removeprefix(_INI_PREFIX): "\n".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in _values(root).items()
        if key.startswith(_INI_PREFIX)
    }


def read_testpaths(root: Path) -> list[str]:
    """Read where pytest looks for tests when it is named none; raises as ``read_ini``."""
    found = _values(root).get("testpaths") or []
    return [str(path) for path in found] if isinstance(found, list) else str(found).split()


def _values(root: Path) -> Mapping[str, Any]:
    return next((v for v in (_section(root, name) for name in _SECTIONS) if v is not None), {})


def _section(root: Path, name: str) -> Mapping[str, Any] | None:
    path = root / name
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        sections = _toml_tables(text) if path.suffix == ".toml" else _ini_sections(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, configparser.Error) as exc:
        raise ConfigError(f"cannot be read: {exc}", path=path) from None
    found = next((sections[section] for section in _SECTIONS[name] if section in sections), None)
    return {} if found is None and "pytest" in name else found


def _toml_tables(text: str) -> dict[str, Mapping[str, Any]]:
    document = tomllib.loads(text)
    tool = document.get("tool", {}).get("pytest")
    tables = {
        "pytest": document.get("pytest"),
        "tool.pytest": tool,
        "tool.pytest.ini_options": tool.get("ini_options") if tool else None,
    }
    return {name: table for name, table in tables.items() if table is not None}


def _ini_sections(text: str) -> dict[str, Mapping[str, Any]]:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(text)
    return {name: dict(parser.items(name)) for name in parser.sections()}
