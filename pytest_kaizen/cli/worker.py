"""``kaizen worker``: does the jobs of a server's store, beside the servers."""

from __future__ import annotations

import argparse
import signal
import threading

from pytest_kaizen.server.work.worker import Worker

from .server_store import add_hosts_option, add_store_option, open_server_store, server_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    add_store_option(parser)
    add_hosts_option(parser)
    parser.set_defaults(run=_work)


def _work(args: argparse.Namespace) -> int:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stopped.set())
    with open_server_store(args) as workspaces, Worker(server_config(args), workspaces):
        print("kaizen does the jobs of the store (stop: Ctrl-C)", flush=True)
        stopped.wait()
    return 0
