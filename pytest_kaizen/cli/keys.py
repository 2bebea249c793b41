"""``kaizen keys``: who may use a server."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pytest_kaizen.errors import UsageError
from pytest_kaizen.report.table import table
from pytest_kaizen.report.text import safe_text
from pytest_kaizen.store.keys import ApiKey, Scope

from .platforms import ct_client, show
from .serve import FIRST_WORKSPACE
from .server_store import add_store_option, open_server_store
from .target import Target, add_target_options, target_of

if TYPE_CHECKING:
    from pytest_kaizen.platforms.kaizen_ct.wire import KeyInfo

#: Where an option is kept, if not under its own name.
_NAMES = {"--scope": "scopes"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    create = commands.add_parser("create", help="make a key, which is shown this once")
    create.add_argument(
        "--workspace", metavar="NAME", help=f"made when it is new (default: {FIRST_WORKSPACE})"
    )
    create.add_argument("--label", default="", metavar="TEXT", help="what people call it")
    create.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        choices=[scope.value for scope in Scope],
        help="what it may do; repeatable, none includes another (default: read and write)",
    )
    create.add_argument("--days", type=float, metavar="N", help="it expires after so many days")
    create.add_argument("--json", action="store_true", help="as a JSON object")
    create.set_defaults(run=_create)

    listing = commands.add_parser(
        "list", help="list the keys of all workspaces; of a server, those of the key's own"
    )
    listing.add_argument("--json", action="store_true", help="as a JSON array")
    listing.set_defaults(run=_list)

    revoke = commands.add_parser("revoke", help="close a key for good")
    revoke.add_argument("id", metavar="KEY", help="its id, as `kaizen keys list` shows it")
    revoke.add_argument("--json", action="store_true", help="as a JSON object")
    revoke.set_defaults(run=_revoke)

    for command in (create, listing, revoke):
        add_store_option(command)
        add_target_options(command)


def _create(args: argparse.Namespace) -> int:
    target = _target(args, "--workspace", "--scope", "--days")
    if target is not None:
        with ct_client(target) as client:
            made = client.create_key(args.label)
        return show(args, made, lambda made: made.key)
    expires_at = None
    if args.days is not None:
        if not 0 < args.days <= 36_500:
            raise UsageError(f"--days: give a number above 0 and up to 36500 (found {args.days:g})")
        expires_at = datetime.now(UTC) + timedelta(days=args.days)
    scopes = [Scope(scope) for scope in args.scopes or (Scope.READ, Scope.WRITE)]
    with open_server_store(args) as workspaces:
        central = workspaces.central
        name = args.workspace or FIRST_WORKSPACE
        workspace = central.workspace(name) or central.create_workspace(name)
        key, secret = central.keys.create(
            workspace.id, label=args.label, scopes=scopes, expires_at=expires_at
        )
    print(json.dumps({"key": secret, **key.model_dump(mode="json")}, indent=2) if args.json else secret)
    return 0


def _list(args: argparse.Namespace) -> int:
    target = _target(args)
    if target is not None:
        with ct_client(target) as client:
            found = client.list_keys()
        return show(args, found, _table_there)
    with open_server_store(args) as workspaces:
        names = {workspace.id: workspace.name for workspace in workspaces.central.workspaces()}
        keys = workspaces.central.keys.list()
    if args.json:
        print(json.dumps([key.model_dump(mode="json") for key in keys], indent=2))
    else:
        print(_table(keys, names))
    return 0


def _revoke(args: argparse.Namespace) -> int:
    target = _target(args)
    if target is not None:
        with ct_client(target) as client:
            client.delete_key(args.id)
        return _revoked(args)
    with open_server_store(args) as workspaces:
        if workspaces.central.keys.revoke(args.id) is None:
            raise UsageError(f"there is no key {args.id!r}; `kaizen keys list` shows them")
    return _revoked(args)


def _revoked(args: argparse.Namespace) -> int:
    if args.json:
        print(json.dumps({"revoked": args.id}, indent=2))
    return 0


def _target(args: argparse.Namespace, *not_there: str) -> Target | None:
    """Return the server that was named; its API has no word for some options."""
    target = target_of(args, "kaizen-ct")
    if target is not None:
        for option in ("--store", *not_there):
            if getattr(args, _NAMES.get(option, option[2:])) is not None:
                raise UsageError(f"{option}: only where the server's store is, without --server")
    return target


def _table_there(keys: list[KeyInfo]) -> str:
    rows = [(key.id, key.label, f"{key.created_at:%Y-%m-%d %H:%M}") for key in keys]
    return safe_text(table(("id", "label", "created"), rows))


def _table(keys: list[ApiKey], names: dict[str, str]) -> str:
    now = datetime.now(UTC)
    rows = [
        (
            key.id,
            names.get(key.workspace),
            key.label,
            f"{key.start}…",
            " ".join(key.scopes),
            key.state(now).value,
            None if key.expires_at is None else f"{key.expires_at:%Y-%m-%d %H:%M}",
        )
        for key in keys
    ]
    return safe_text(table(("id", "workspace", "label", "key", "scopes", "state", "expires"), rows))
