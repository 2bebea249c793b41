"""``kaizen exec -- COMMAND``: run any program, and keep traces of its model calls."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

from pytest_kaizen.errors import UsageError
from pytest_kaizen.models import Trace
from pytest_kaizen.store import Store

from .context import config_for

_UPSTREAMS = {
    "anthropic": ("ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
    "openai": ("OPENAI_BASE_URL", "https://api.openai.com/v1"),
}
_NOT_FOUND = 127


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Run a program in any language with ANTHROPIC_BASE_URL and OPENAI_BASE_URL pointing to a proxy on "
        "this machine, which passes every request on as it is and stores a trace of each model call. Exits "
        "as the program does."
    )
    parser.add_argument("--task", metavar="TASK", help="the task that the traces are of")
    parser.add_argument("words", metavar="-- COMMAND", nargs=argparse.REMAINDER, help="the program to run")
    parser.set_defaults(run=_exec)


def _exec(args: argparse.Namespace) -> int:
    try:
        from pytest_kaizen.server.proxy.record import Recording
        from pytest_kaizen.server.proxy.recorder import Recorder
        from pytest_kaizen.server.recording import recording
    except ImportError as exc:
        raise UsageError(
            f"kaizen exec needs {exc.name}, which an extra brings: pip install 'pytest-kaizen[server]'"
        ) from None
    from pytest_kaizen.capture import Redactor
    from pytest_kaizen.prices import load_prices

    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        raise UsageError("name the program: kaizen exec -- COMMAND")
    config = config_for(args)
    with Store.open(config.store) as store:

        def keep(trace: Trace) -> None:
            store.shelf.add([trace.model_copy(update={"task": args.task})])

        upstreams = {name: os.environ.get(key) or url for name, (key, url) in _UPSTREAMS.items()}
        made = Recording(Redactor(os.environ, config.redact), load_prices(config.prices).cost)
        recorder = Recorder(upstreams, config.endpoints, made, keep)
        with recording(recorder) as url:
            status = _run(words, {key: f"{url}/{name}" for name, (key, _) in _UPSTREAMS.items()})
    calls = f"{recorder.kept} call{'s' * (recorder.kept != 1)}"
    print(f"kaizen: {calls} stored: kaizen traces list", file=sys.stderr)
    return status


def _run(words: Sequence[str], more: Mapping[str, str]) -> int:
    # The way to the proxy is not through another one.
    there = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
    direct = ",".join(filter(None, [there, "127.0.0.1"]))
    env = {**os.environ, **more, "NO_PROXY": direct, "no_proxy": direct}
    try:
        program = subprocess.Popen(words, env=env)
    except OSError as exc:
        print(f"kaizen: {words[0]}: cannot be run: {exc.strerror}", file=sys.stderr)
        return _NOT_FOUND

    def pass_on(number: int, _frame: FrameType | None) -> None:
        program.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    # A terminal sends Ctrl-C to the program itself; it decides what becomes of it.
    ignored = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        status = program.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, ignored)
    return status if status >= 0 else 128 - status
