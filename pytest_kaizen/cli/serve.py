"""``kaizen serve``: the store behind HTTP, for a team."""

from __future__ import annotations

import argparse
import gc
from datetime import UTC, datetime

from pytest_kaizen.errors import UsageError
from pytest_kaizen.store.keys import KeyState, Scope
from pytest_kaizen.store.tending import Tending
from pytest_kaizen.store.workspaces import Workspaces

from .server_store import add_hosts_option, add_store_option, open_server_store, server_config

FIRST_WORKSPACE = "default"


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
        from pytest_kaizen.server.admission import is_loopback
        from pytest_kaizen.server.app import create_app
        from pytest_kaizen.server.run import listen, run, url_of
    except ImportError as exc:
        raise UsageError(
            f"kaizen serve needs {exc.name}, which an extra brings: pip install 'pytest-kaizen[server]'"
        ) from None
    config = server_config(args)
    with listen(args.host, args.port) as listener, open_server_store(args) as workspaces:
        first = None
        if not _has_key(workspaces):
            if not is_loopback(listener.getsockname()[0]):
                raise UsageError(
                    f"--host {args.host}: other machines can reach it, and there is no key yet; "
                    "make one first: `kaizen keys create`"
                )
            first = _first_key(workspaces)
        app = create_app(config, workspaces)
        url = url_of(listener)
        print(f"kaizen serves {url} (web page: {url}/ui/; stop: Ctrl-C)", flush=True)
        if first is not None:
            print(f"key of the workspace '{FIRST_WORKSPACE}', shown this once: {first}", flush=True)
        gc.freeze()
        gc.enable()
        with Tending(workspaces), app.state.worker:
            run(app, listener)
    return 0


def _has_key(workspaces: Workspaces) -> bool:
    now = datetime.now(UTC)
    return any(key.state(now) is KeyState.ACTIVE for key in workspaces.central.keys.list())


def _first_key(workspaces: Workspaces) -> str:
    central = workspaces.central
    workspace = central.workspace(FIRST_WORKSPACE) or central.create_workspace(FIRST_WORKSPACE)
    return central.keys.create(workspace.id, label="first", scopes=tuple(Scope))[1]
