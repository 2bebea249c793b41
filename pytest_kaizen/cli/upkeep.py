"""``kaizen doctor``, ``sync`` and ``cassettes``: see what a project is in want of, send what it owes."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from ..errors import ConfigError, PlatformError, UsageError
from ..pipeline.checkup import check_up, installation
from ..pipeline.recorded import CassetteCheck
from ..pipeline.upload.senders import Sync, Upload
from ..report.status import checkup_text
from ..report.text import plain
from ..store import Store
from .configuration import config_for
from .desks import open_server_desk
from .options import add_target_options, target_of


def declare_doctor(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Say what is installed, which store is worked on, what is owed to platforms, which settings come "
        "from where, and which keys are set, never what they are. Exits 1 where something is broken."
    )
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    add_target_options(parser)
    parser.set_defaults(run=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    try:
        found = check_up(config_for(args), os.environ)
        _ask_server(args, found)
    except ConfigError as exc:
        # A wrong setting is what a doctor is asked about.
        found = installation()
        found["errors"].append(str(exc))
    print(json.dumps(found, indent=2) if args.json else checkup_text(found))
    return int(bool(found["errors"]))


def _ask_server(args: argparse.Namespace, found: dict[str, Any]) -> None:
    """See whether the server that was named answers, and takes the key."""
    try:
        target = target_of(args, "kayba")
        if target is None:
            return
        found |= {"target": f"the server {target.url}", "server": {"key_from": target.key_from}}
        with open_server_desk(target) as desk:
            desk.list_prompts()
    except PlatformError as exc:
        found["errors"].append(str(exc))


def declare_sync(parser: argparse.ArgumentParser) -> None:
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
            return _print_uploads([Upload(state) for state in store.outbox.states()], args, status=True)
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
        return _print_uploads(sync.uploads, args)


def _print_uploads(uploads: list[Upload], args: argparse.Namespace, *, status: bool = False) -> int:
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


def declare_cassettes(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    check = commands.add_parser(
        "check",
        help="list records that nothing uses, and those recorded under another prompt version",
        description="List records that the last run of their test did not use, cassettes without a test, and "
        "records made under another prompt version than the active one. Exits 1 if there are any.",
    )
    check.add_argument("--json", action="store_true", help="as a JSON array")
    check.set_defaults(run=_check_cassettes)


def _check_cassettes(args: argparse.Namespace) -> int:
    config = config_for(args)
    with ExitStack() as stack:
        store = (
            stack.enter_context(Store.open(config.store, readonly=True)) if config.store.exists() else None
        )
        check = CassetteCheck(config, store)
    findings = list(check.findings())
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
        return int(bool(findings))
    for finding in findings:
        place = finding.path if finding.exchange is None else f"{finding.path}: exchange {finding.exchange}"
        print(plain(f"{place} {finding.problem}"))
    files = f"{check.files} cassette{'s' * (check.files != 1)}"
    print(f"{files}: {len(findings)} to look at" if findings else f"{files}: nothing to look at")
    if findings:
        print("to record anew and drop what is not called: pytest --kaizen --kaizen-record=all")
    if check.files and not check.runs:
        print(
            "what is used is not known: no run in the store replayed or recorded; run pytest --kaizen first"
        )
    return int(bool(findings))
