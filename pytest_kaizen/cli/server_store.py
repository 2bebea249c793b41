"""The store of a server, which ``kaizen serve`` and ``kaizen keys`` work with."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pytest_kaizen.config import Config
from pytest_kaizen.store import secret_key
from pytest_kaizen.store.workspaces import Workspaces

from .context import config_for

_VARIABLE = "KAIZEN_SERVER_STORE"
_DEFAULT = ".kaizen/server"


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--store``."""
    parser.add_argument(
        "--store",
        metavar="WHERE",
        help="the server's store: a folder, sqlite:///FOLDER or postgresql://USER:PASSWORD@HOST/DATABASE "
        f"(default: ${_VARIABLE}, which no list of processes shows, or {_DEFAULT})",
    )


@contextmanager
def open_server_store(args: argparse.Namespace) -> Iterator[Workspaces]:
    """Open the server's store for the length of a block.

    Raises:
        ConfigError: It is the URL of something else.
        StoreError: It cannot be opened.
    """
    workspaces = Workspaces.open(args.store or os.environ.get(_VARIABLE) or args.root / _DEFAULT)
    try:
        yield workspaces
    finally:
        workspaces.close()


def add_hosts_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--allow-private-hosts``."""
    parser.add_argument(
        "--allow-private-hosts",
        action="store_true",
        help="integrations and git hosts, which keys can set, may be in private networks and on this machine",
    )


def server_config(args: argparse.Namespace) -> Config:
    """Resolve the configuration of what does a server's work.

    Raises:
        ConfigError: A setting is wrong, or the key for secrets in the environment is.
    """
    secret_key.keys_of(os.environ)
    config = config_for(args)
    if not args.allow_private_hosts:
        return config
    return replace(config, server=config.server.model_copy(update={"allow_private_hosts": True}))
