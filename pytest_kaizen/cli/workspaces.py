"""``kaizen workspaces``: the tenants of a server, and how long each keeps its traces."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from pytest_kaizen.errors import StoreError, UsageError
from pytest_kaizen.report.table import table
from pytest_kaizen.report.text import safe_text
from pytest_kaizen.store.central import Workspace
from pytest_kaizen.store.workspaces import Workspaces

from .numbers import days, size
from .server_store import add_store_option, open_server_store

_KEPT = ("name", "keep_days", "keep_bytes")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list workspaces with what they keep, the newest first")
    listing.set_defaults(run=_list)

    create = commands.add_parser("create", help="make a workspace; `kaizen keys create` opens it to people")
    create.add_argument("name", metavar="NAME", help="what people call it")
    create.set_defaults(run=_create)

    change = commands.add_parser(
        "set",
        help="say how long a workspace keeps its traces, and how many",
        description="Say how long a workspace keeps its traces, and how many. A server deletes what is more, "
        "the oldest first, within an hour.",
    )
    change.add_argument("workspace", metavar="WORKSPACE", help="its name or id")
    change.add_argument("--name", default=argparse.SUPPRESS, metavar="NAME", help="call it so from now on")
    change.add_argument(
        "--keep-days",
        type=_or_none(days),
        default=argparse.SUPPRESS,
        metavar="N",
        help="delete traces older than N days; none: keep them",
    )
    change.add_argument(
        "--max-size",
        dest="keep_bytes",
        type=_or_none(size),
        default=argparse.SUPPRESS,
        metavar="SIZE",
        help="delete the oldest traces above this size, 500MB or 20GB for instance; none: no bound",
    )
    change.set_defaults(run=_set)

    for command in (listing, create, change):
        command.add_argument(
            "--json", action="store_true", help=f"as a JSON {'array' if command is listing else 'object'}"
        )
        add_store_option(command)


def _list(args: argparse.Namespace) -> int:
    with open_server_store(args) as workspaces:
        found = workspaces.central.workspaces()[::-1]
    if args.json:
        print(json.dumps([workspace.model_dump(mode="json") for workspace in found], indent=2))
    else:
        print(_table(found) if found else "no workspaces yet; `kaizen keys create` makes the first")
    return 0


def _create(args: argparse.Namespace) -> int:
    with open_server_store(args) as workspaces:
        return _shown(args, workspaces.central.create_workspace(args.name))


def _set(args: argparse.Namespace) -> int:
    changes = {name: getattr(args, name) for name in _KEPT if hasattr(args, name)}
    if not changes:
        raise UsageError("nothing to do: give --keep-days, --max-size or --name")
    if not changes.get("name", args.workspace).strip():
        raise UsageError("--name: a workspace needs a name")
    with open_server_store(args) as workspaces:
        changed = _known(workspaces, args.workspace).model_copy(update=changes)
        workspaces.central.save_workspace(changed)
        return _shown(args, changed)


def _known(workspaces: Workspaces, given: str) -> Workspace:
    found = workspaces.central.workspace(given)
    if found is None:
        names = ", ".join(sorted(known.name for known in workspaces.central.workspaces()))
        raise StoreError(f"there is no workspace {given!r} (there are: {names or 'none'})")
    return found


def _shown(args: argparse.Namespace, workspace: Workspace) -> int:
    values = workspace.model_dump(mode="json")
    print(json.dumps(values, indent=2) if args.json else _table([workspace]))
    return 0


def _table(workspaces: list[Workspace]) -> str:
    rows = [
        (
            workspace.id,
            workspace.name,
            f"{workspace.created_at:%Y-%m-%d %H:%M:%S}",
            "for ever" if workspace.keep_days is None else f"{workspace.keep_days:g} days",
            "no bound" if workspace.keep_bytes is None else f"{workspace.keep_bytes:,} bytes",
        )
        for workspace in workspaces
    ]
    return safe_text(table(("id", "workspace", "created", "keeps traces", "up to"), rows))


def _or_none(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text == "none" else parse(text)
