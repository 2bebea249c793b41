"""What the commands of every group start from."""

from __future__ import annotations

import argparse

from pytest_kaizen.config import Config, load_config

from .ini import read_ini


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
