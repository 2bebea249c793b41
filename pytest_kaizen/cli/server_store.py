"""The store of a server, which ``kaizen serve`` and ``kaizen keys`` work with."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_kaizen.store.workspaces import Workspaces

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
