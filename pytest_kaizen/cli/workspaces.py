"""``kaizen workspaces`` and ``keys``: a server's tenants, how long they keep traces, who may use them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..errors import PlatformError, StoreError, UsageError
from ..platforms.kaizen_ct import KeyStatus
from ..report.text import safe_text, table
from ..store.central import ApiKey, KeyState, Scope, Workspace
from ..store.workspaces import Workspaces
from .desks import ct_client, show
from .options import Target, add_target_options, days, size, target_of
from .serve import FIRST_WORKSPACE, add_store_option, open_server_store

if TYPE_CHECKING:
    from ..platforms.kaizen_ct import KeyInfo
    from ..platforms.kaizen_ct.keys import FirstKeyClient


_KEPT = ("name", "keep_days", "keep_bytes")

#: Where an option is kept, if not under its own name.
_OPTION_NAMES = {"--scope": "scopes"}


def declare_workspaces(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list workspaces with what they keep, the newest first")
    listing.set_defaults(run=_list_workspaces)

    create = commands.add_parser("create", help="make a workspace; `kaizen keys create` opens it to people")
    create.add_argument("name", metavar="NAME", help="what people call it")
    create.set_defaults(run=_create_workspace)

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
    change.set_defaults(run=_set_workspace)

    for command in (listing, create, change):
        command.add_argument(
            "--json", action="store_true", help=f"as a JSON {'array' if command is listing else 'object'}"
        )
        add_store_option(command)


def _list_workspaces(args: argparse.Namespace) -> int:
    with open_server_store(args) as workspaces:
        found = workspaces.central.workspaces()[::-1]
    if args.json:
        print(json.dumps([workspace.model_dump(mode="json") for workspace in found], indent=2))
    else:
        print(
            _workspaces_table(found) if found else "no workspaces yet; `kaizen keys create` makes the first"
        )
    return 0


def _create_workspace(args: argparse.Namespace) -> int:
    with open_server_store(args) as workspaces:
        return _shown(args, workspaces.central.create_workspace(args.name))


def _set_workspace(args: argparse.Namespace) -> int:
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
    print(json.dumps(values, indent=2) if args.json else _workspaces_table([workspace]))
    return 0


def _workspaces_table(workspaces: list[Workspace]) -> str:
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


def declare_keys(parser: argparse.ArgumentParser) -> None:
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
    create.set_defaults(run=_create_key)

    listing = commands.add_parser(
        "list", help="list the keys of all workspaces; of a server, those of the key's own"
    )
    listing.add_argument("--json", action="store_true", help="as a JSON array")
    listing.set_defaults(run=_list_keys)

    revoke = commands.add_parser("revoke", help="close a key for good")
    revoke.add_argument("id", metavar="KEY", help="its id, as `kaizen keys list` shows it")
    revoke.add_argument("--json", action="store_true", help="as a JSON object")
    revoke.set_defaults(run=_revoke_key)

    status = commands.add_parser("status", help="say whether there are keys, and how many; needs none")
    status.add_argument("--json", action="store_true", help="as a JSON object")
    status.set_defaults(run=_key_status)

    bootstrap = commands.add_parser(
        "bootstrap",
        help="make the first key of a server, which may do all; shown this once",
        description="Make the first key of a server, with all scopes, which is shown this once. A server "
        "gives it on its own machine only, and where it has never had a key.",
    )
    bootstrap.add_argument("--label", default="", metavar="TEXT", help="what people call it")
    bootstrap.add_argument("--json", action="store_true", help="as a JSON object")
    bootstrap.set_defaults(run=_bootstrap)

    for command in (create, listing, revoke, status, bootstrap):
        add_store_option(command)
        add_target_options(command)


def _create_key(args: argparse.Namespace) -> int:
    target = _server_of_keys(args, "--workspace", "--scope", "--days")
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


def _list_keys(args: argparse.Namespace) -> int:
    target = _server_of_keys(args)
    if target is not None:
        with ct_client(target) as client:
            found = client.list_keys()
        return show(args, found, _keys_table_there)
    with open_server_store(args) as workspaces:
        names = {workspace.id: workspace.name for workspace in workspaces.central.workspaces()}
        keys = workspaces.central.keys.list()
    if args.json:
        print(json.dumps([key.model_dump(mode="json") for key in keys], indent=2))
    else:
        print(_keys_table(keys, names))
    return 0


def _revoke_key(args: argparse.Namespace) -> int:
    target = _server_of_keys(args)
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


def _key_status(args: argparse.Namespace) -> int:
    target = _server_of_keys(args, needs_key=False)
    if target is not None:
        with _keyless(target) as client:
            found = client.key_status()
    else:
        with open_server_store(args) as workspaces:
            now = datetime.now(UTC)
            keys = [key for key in workspaces.central.keys.list() if key.state(now) is KeyState.ACTIVE]
        found = KeyStatus(has_keys=bool(keys), count=len(keys))
    return show(args, found, _counted)


def _counted(found: KeyStatus) -> str:
    if not found.has_keys:
        return "no keys; make the first: `kaizen keys bootstrap`"
    return f"{found.count} key{'s' * (found.count != 1)}"


def _bootstrap(args: argparse.Namespace) -> int:
    target = _server_of_keys(args, needs_key=False)
    if target is None:
        with open_server_store(args) as workspaces:
            central = workspaces.central
            if central.keys.list():
                raise StoreError("this server has had a key; `kaizen keys create` makes another")
            workspace = central.workspace(FIRST_WORKSPACE) or central.create_workspace(FIRST_WORKSPACE)
            key, secret = central.keys.create(workspace.id, label=args.label, scopes=list(Scope))
        print(json.dumps({"key": secret, **key.model_dump(mode="json")}, indent=2) if args.json else secret)
        return 0
    try:
        with _keyless(target) as client:
            made = client.bootstrap(args.label)
    except PlatformError as exc:
        if exc.status_code != 401 or target.key:
            raise
        raise PlatformError(
            f"{target.url} gives its first key on its own machine only: `kaizen keys bootstrap` there", 401
        ) from None
    return show(args, made, lambda made: made.key)


@contextmanager
def _keyless(target: Target) -> Iterator[FirstKeyClient]:
    from ..platforms.kaizen_ct.keys import FirstKeyClient

    with target.speaking(), FirstKeyClient(target.key, target.url) as client:
        yield client


def _server_of_keys(args: argparse.Namespace, *not_there: str, needs_key: bool = True) -> Target | None:
    """Return the server that was named; its API has no word for some options."""
    target = target_of(args, "kaizen-ct", needs_key=needs_key)
    if target is not None:
        for option in ("--store", *not_there):
            if getattr(args, _OPTION_NAMES.get(option, option[2:])) is not None:
                raise UsageError(f"{option}: only where the server's store is, without --server")
    return target


def _keys_table_there(keys: list[KeyInfo]) -> str:
    rows = [(key.id, key.label, f"{key.created_at:%Y-%m-%d %H:%M}") for key in keys]
    return safe_text(table(("id", "label", "created"), rows))


def _keys_table(keys: list[ApiKey], names: dict[str, str]) -> str:
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
