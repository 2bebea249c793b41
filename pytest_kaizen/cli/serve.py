"""``kaizen serve`` and ``worker``: the store behind HTTP, for a team, and the process that does its jobs."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from ..config import Config
from ..errors import UsageError
from ..store import sealed
from ..store.central import KeyState
from ..store.workspaces import Tending, Workspaces
from .configuration import config_for

FIRST_WORKSPACE = "default"

_STORE_VARIABLE = "KAIZEN_SERVER_STORE"
_DEFAULT_STORE = ".kaizen/server"


def declare_serve(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8000, help="the port; 0 for any that is free (default: %(default)s)"
    )
    add_store_option(parser)
    add_hosts_option(parser)
    parser.set_defaults(run=_serve)


def _serve(args: argparse.Namespace) -> int:
    # What is loaded and made until it serves stays as long as the process does: the collector need not look
    # at it, neither now nor each time that it looks for what requests leave behind.
    gc.disable()
    try:
        return _opened(args)
    finally:
        gc.enable()
        gc.unfreeze()


def _opened(args: argparse.Namespace) -> int:
    try:
        from ..server.app import create_app, listen, run, url_of
        from ..server.dispatch import is_loopback
    except ImportError as exc:
        raise UsageError(
            f"kaizen serve needs {exc.name}, which an extra brings: pip install 'pytest-kaizen[server]'"
        ) from None
    config = server_config(args)
    with listen(args.host, args.port) as listener, open_server_store(args) as workspaces:
        first = None
        if is_loopback(listener.getsockname()[0]):
            first = workspaces.central.keys.first(FIRST_WORKSPACE, label="first", active_at=datetime.now(UTC))
        elif not _has_key(workspaces):
            raise UsageError(
                f"--host {args.host}: other machines can reach it, and there is no key yet; "
                "make one first: `kaizen keys create`"
            )
        app = create_app(config, workspaces)
        url = url_of(listener)
        print(f"kaizen serves {url} (web page: {url}/ui/; stop: Ctrl-C)", flush=True)
        if first is not None:
            print(f"key of the workspace '{FIRST_WORKSPACE}', shown this once: {first[1]}", flush=True)
        gc.freeze()
        gc.enable()
        with Tending(workspaces), app.state.worker:
            run(app, listener)
    return 0


def _has_key(workspaces: Workspaces) -> bool:
    now = datetime.now(UTC)
    return any(key.state(now) is KeyState.ACTIVE for key in workspaces.central.keys.list())


def declare_worker(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    add_store_option(parser)
    add_hosts_option(parser)
    parser.set_defaults(run=_work)


def _work(args: argparse.Namespace) -> int:
    # Not what `kaizen keys` should wait for, which opens the same store.
    from ..server.worker import Worker

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopped.set())
    with open_server_store(args) as workspaces, Worker(server_config(args), workspaces):
        print("kaizen does the jobs of the store (stop: Ctrl-C)", flush=True)
        stopped.wait()
    return 0


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--store``."""
    parser.add_argument(
        "--store",
        metavar="WHERE",
        help="the server's store: a folder, sqlite:///FOLDER or postgresql://USER:PASSWORD@HOST/DATABASE "
        f"(default: ${_STORE_VARIABLE}, which no list of processes shows, or {_DEFAULT_STORE})",
    )


@contextmanager
def open_server_store(args: argparse.Namespace) -> Iterator[Workspaces]:
    """Open the server's store for the length of a block.

    Raises:
        ConfigError: It is the URL of something else.
        StoreError: It cannot be opened.
    """
    workspaces = Workspaces.open(args.store or os.environ.get(_STORE_VARIABLE) or args.root / _DEFAULT_STORE)
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
    sealed.keys_of(os.environ)
    config = config_for(args)
    if not args.allow_private_hosts:
        return config
    return replace(config, server=config.server.model_copy(update={"allow_private_hosts": True}))
