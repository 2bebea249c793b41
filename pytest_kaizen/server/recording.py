"""Runs a recorder in a thread, for the life time of a block, and leads programs to it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import uvicorn

from ..capture import Redactor
from ..config import Config
from ..models import Trace
from ..prices import load_prices
from .proxy.record import Recording
from .proxy.recorder import Recorder
from .run import listen, url_of

_BASES = {"anthropic": "ANTHROPIC_BASE_URL", "openai": "OPENAI_BASE_URL"}


class Recorded(NamedTuple):
    """A recorder that listens, and the environment of a program whose model calls it is to see."""

    recorder: Recorder
    environment: dict[str, str]


@contextmanager
def recorded(config: Config, keep: Callable[[Trace], None]) -> Iterator[Recorded]:
    """Record the model calls of programs that are run within, on their way to where they went before.

    Args:
        config: Which requests are model calls, what they cost, and where they go by default.
        keep: Is given the trace of each, in a thread of its own; all when the block has ended.
    """
    defaults = {"anthropic": config.server.anthropic_url, "openai": config.server.openai_url}
    upstreams = {name: os.environ.get(key) or defaults[name] for name, key in _BASES.items()}
    made = Recording(Redactor(os.environ, config.redact), load_prices(config.prices).cost)
    recorder = Recorder(upstreams, config.endpoints, made, keep)
    with recording(recorder) as url:
        # The way to the proxy is not through another one.
        there = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
        direct = ",".join(filter(None, [there, "127.0.0.1"]))
        bases = {key: f"{url}/{name}" for name, key in _BASES.items()}
        yield Recorded(recorder, {**os.environ, **bases, "NO_PROXY": direct, "no_proxy": direct})


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
