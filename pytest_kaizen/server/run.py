"""Runs a server in this process until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

import uvicorn

from ..errors import UsageError
from .app import App

#: What is under way when the server is told to stop may take so long.
_STOP_S = 30
_BACKLOG = 2048
_SWITCH_S = 0.0005


class _Stopped(Exception):  # noqa: N818 - it is no error
    """The server was told to stop, and has."""


class _Server(uvicorn.Server):
    """Says at once that it was told to stop: it then waits for what is under way."""

    def __init__(self, config: uvicorn.Config, stopping: threading.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)


def listen(host: str, port: int) -> socket.socket:
    """Take a port, so that what follows cannot fail for want of it.

    Args:
        host: A name or address.
        port: 0 for any that is free.

    Raises:
        UsageError: It is not to be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as exc:
        raise UsageError(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from None


def run(app: App, listener: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; what was accepted by then is finished.

    Args:
        app: The server.
        listener: A socket that listens; closed in the end.
    """
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in ("uvicorn", "pytest_kaizen"):
        logging.getLogger(name).addHandler(log)
    config = uvicorn.Config(
        app,
        # Requests are counted; a line for each would cost more than most of them do.
        access_log=False,
        http="httptools",
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_STOP_S,
        ws="none",
    )
    # The loop shares the interpreter with threads that make traces of what has passed; by default they
    # would let it wait 5 ms each time.
    sys.setswitchinterval(_SWITCH_S)
    # uvicorn sends itself the signal once more when it has stopped, for whoever handled it before.
    signal.signal(signal.SIGTERM, _stop)
    with suppress(_Stopped, KeyboardInterrupt):
        _Server(config, app.state.stopping).run(sockets=[listener])


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Stopped


def url_of(listener: socket.socket) -> str:
    """Return where a server can be reached."""
    address: Any = listener.getsockname()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"http://{host}:{address[1]}"
