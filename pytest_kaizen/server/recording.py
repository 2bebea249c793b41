"""Runs a recorder in a thread, for the life time of a block."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from .proxy.recorder import Recorder
from .run import listen, url_of


@contextmanager
def recording(recorder: Recorder) -> Iterator[str]:
    """Serve on a free port of this machine; give its URL. When it ends, all traces are stored."""
    # Its warnings would stand among what the program prints.
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    config = uvicorn.Config(
        recorder,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=5,
        ws="none",
    )
    server = uvicorn.Server(config)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.005)
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join()
