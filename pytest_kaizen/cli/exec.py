"""``kaizen exec -- COMMAND``: run any program, and keep traces of its model calls."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

from pytest_kaizen.errors import UsageError
from pytest_kaizen.models import Trace
from pytest_kaizen.store import Store

from .context import config_for

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
        from pytest_kaizen.server.recording import recorded
    except ImportError as exc:
        raise UsageError(
            f"kaizen exec needs {exc.name}, which an extra brings: pip install 'pytest-kaizen[server]'"
        ) from None
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        raise UsageError("name the program: kaizen exec -- COMMAND")
    config = config_for(args)
    with Store.open(config.store) as store:

        def keep(trace: Trace) -> None:
            store.shelf.add([trace.model_copy(update={"task": args.task})])

        with recorded(config, keep) as (recorder, environment):
            status = _run(words, environment)
    calls = f"{recorder.kept} call{'s' * (recorder.kept != 1)}"
    print(f"kaizen: {calls} stored: kaizen traces list", file=sys.stderr)
    return status


def _run(words: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        program = subprocess.Popen(words, env=environment)
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
