"""``kaizen sync``: send what runs still owe to the platforms."""

from __future__ import annotations

import argparse
import json
import os
import sys

from pytest_kaizen.errors import UsageError
from pytest_kaizen.pipeline.upload.lines import Upload
from pytest_kaizen.pipeline.upload.sync import Sync
from pytest_kaizen.store import Store

from .context import config_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--watch", action="store_true", help="go on until interrupted, sending as runs store")
    how.add_argument("--status", action="store_true", help="say what is owed, and send nothing")
    parser.add_argument(
        "--set-aside", action="store_true", help="send again, too, what was refused and so set aside"
    )
    parser.add_argument("--json", action="store_true", help="as a JSON array, one object for each backend")
    parser.set_defaults(run=_sync)


def _sync(args: argparse.Namespace) -> int:
    if args.status and args.set_aside:
        raise UsageError("--status and --set-aside exclude each other")
    config = config_for(args)
    if args.status:
        with Store.open(config.store, readonly=True) as store:
            return _print([Upload(state) for state in store.outbox.states()], args, status=True)
    # A store is made by a run, not by a look at what it owes.
    Store.open(config.store, readonly=True).close()
    with Store.open(config.store) as store:
        if args.set_aside:
            again = store.outbox.owe_again()
            _say(f"{again} set aside, to be sent again" if again else "nothing is set aside")
        sync = Sync(config, store, os.environ, _say)
        if args.watch:
            sync.watch()
        else:
            sync.once()
        return _print(sync.uploads, args)


def _print(uploads: list[Upload], args: argparse.Namespace, *, status: bool = False) -> int:
    if args.json:
        print(json.dumps([upload.to_json() for upload in uploads], indent=2))
    for upload in () if args.json else uploads:
        print(upload.status if status else upload.line)
    if not uploads and not args.json:
        print("nothing is owed: no backend is in use")
    return int(not status and any(upload.state.owed for upload in uploads))


def _say(line: str) -> None:
    # Progress goes where it does not mix with --json.
    print(line, file=sys.stderr)
