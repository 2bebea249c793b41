"""``kaizen integrations``: connections to other platforms that have traces."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_kaizen.errors import UsageError
from pytest_kaizen.report.plain import plain
from pytest_kaizen.report.table import table

from .desk import open_server_desk
from .target import add_target_options, target_of

if TYPE_CHECKING:
    from pytest_kaizen.pipeline.server_desk import ServerDesk


class _Field(NamedTuple):
    """What is asked for.

    Attributes:
        key: Its name in the settings.
        question: What the user reads.
        default: Where nothing is answered, and nothing was set before.
        choices: The answers that are taken; all where there are none.
        secret: It is not shown, not while it is typed either.
    """

    key: str
    question: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False


_FIELDS = {
    "mlflow": (
        _Field("trackingUri", "tracking URI"),
        _Field("authType", "authentication", "none", ("none", "basic", "bearer", "databricks")),
        _Field("username", "username"),
        _Field("token", "token or password", secret=True),
        _Field("experimentName", "experiment"),
    ),
    "langsmith": (
        # Customers in Europe have another one: https://eu.api.smith.langchain.com
        _Field("apiUrl", "API URL", "https://api.smith.langchain.com"),
        _Field("apiKey", "API key", secret=True),
        _Field("projectName", "project"),
    ),
}
#: Which of them a way of authentication has no use for.
_UNUSED = {"none": ("username", "token"), "bearer": ("username",), "databricks": ("username",)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list them, their keys masked")
    listing.add_argument("--json", action="store_true", help="as a JSON object, by their names")
    listing.set_defaults(run=_list)

    configure = commands.add_parser(
        "configure",
        help="ask for the settings of one, store them and try them",
        description="Ask for the settings of an integration one by one, store them and try the connection. "
        "No answer leaves what is set. Without a terminal, each line of standard input is an answer.",
    )
    configure.set_defaults(run=_configure)

    test = commands.add_parser("test", help="try the connection of one")
    test.add_argument("--json", action="store_true", help="as a JSON object")
    test.set_defaults(run=_test)

    for command in (configure, test):
        command.add_argument("name", choices=[*_FIELDS], help="the integration")
    add_target_options(listing, configure, test)


@contextmanager
def _open(args: argparse.Namespace) -> Iterator[ServerDesk]:
    target = target_of(args, "kayba")
    if target is None:
        raise UsageError("integrations are settings of a server; name it: --server URL or --base-url URL")
    with open_server_desk(target) as desk:
        yield desk


def _list(args: argparse.Namespace) -> int:
    with _open(args) as desk:
        found = desk.get_integrations()
    shown = {name: _masked(name, settings) for name, settings in found.items()}
    if args.json:
        print(json.dumps(shown, indent=2))
        return 0
    rows = []
    for name, settings in shown.items():
        facts = [f"{key}={value}" for key, value in settings.items() if key != "enabled" and value]
        state = "not set" if not facts else "off" if settings.get("enabled") is False else "on"
        rows.append((name, state, ", ".join(facts)))
    print(table(("integration", "", "settings"), rows))
    return 0


def _configure(args: argparse.Namespace) -> int:
    with _open(args) as desk:
        before = desk.get_integrations().get(args.name) or {}
        desk.update_integration(args.name, {"enabled": True, **_asked(args.name, before)})
        return _try(desk, args.name)


def _test(args: argparse.Namespace) -> int:
    with _open(args) as desk:
        return _try(desk, args.name, as_json=args.json)


def _try(desk: ServerDesk, name: str, *, as_json: bool = False) -> int:
    found = desk.test_integration(name)
    if as_json:
        print(json.dumps(found, indent=2))
    elif found["connected"]:
        facts = [f"MLflow {found['mlflowVersion']}"] if found.get("mlflowVersion") else []
        count = found.get("experimentCount")
        facts += [] if count is None else [f"{count} experiment{'s' * (count != 1)}"]
        more = f" ({', '.join(facts)})" if facts else ""
        print(plain(f"{name}: connected{more}"))
    if not found["connected"]:
        print(plain(f"kaizen: {name}: {found.get('error') or 'no connection'}"), file=sys.stderr)
    return int(not found["connected"])


def _asked(name: str, before: Mapping[str, Any]) -> dict[str, str]:
    """Ask for the settings and return those that were given."""
    given: dict[str, str] = {}
    for field in _FIELDS[name]:
        way = given.get("authType") or before.get("authType")
        if field.key in _UNUSED.get(str(way), ()):
            continue
        set_before = before.get(field.key)
        kept = _mask(str(set_before)) if set_before and field.secret else set_before or field.default
        choices = f" ({', '.join(field.choices)})" if field.choices else ""
        answer = _answer(plain(f"{field.question}{choices}{f' [{kept}]' if kept else ''}: "), field)
        if answer or (field.default and not set_before):
            given[field.key] = answer or field.default or ""
    return given


def _answer(question: str, field: _Field) -> str:
    if field.secret and sys.stdin.isatty():
        return getpass.getpass(question, sys.stderr).strip()
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if answer and field.choices and answer not in field.choices:
        raise UsageError(f"{field.question}: expected {', '.join(field.choices)} (found {answer!r})")
    return answer


def _masked(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    secrets = {field.key for field in _FIELDS.get(name, ()) if field.secret}
    return {key: _mask(str(value)) if value and key in secrets else value for key, value in settings.items()}


def _mask(text: str) -> str:
    from pytest_kaizen.store.sealed import is_masked, masked

    return text if is_masked(text) else masked(text)
