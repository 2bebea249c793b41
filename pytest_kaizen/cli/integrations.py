"""``kaizen integrations``: connections to MLflow, LangSmith and Braintrust, and imports from them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from getpass import getpass
from typing import Any

from pytest_kaizen.capture import Redactor
from pytest_kaizen.errors import UsageError
from pytest_kaizen.models import Job
from pytest_kaizen.pipeline.integrations import importing, settings
from pytest_kaizen.pipeline.integrations.source import understood
from pytest_kaizen.pipeline.open_store import open_store
from pytest_kaizen.prices import load_prices
from pytest_kaizen.report.table import table
from pytest_kaizen.report.text import safe_text

from . import integrations_form as form
from .context import config_for
from .desk import open_desk
from .numbers import count
from .target import add_target_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, what: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(name, help=what)
        command.set_defaults(run=run)
        if name != "list":
            command.add_argument("name", choices=list(settings.KNOWN), help="which one")
        return command

    listing = add("list", "show what is set, secrets masked", _list)
    configure = add(
        "configure", "ask for the settings one by one, store them and try the connection", _configure
    )
    change = add("set", "set up a connection; what is not named stays", _set)
    test = add("test", "try a connection", _test)
    projects = add("projects", "list the experiments or projects there", _projects)
    load = add("import", "import traces; a second time makes nothing double", _import)
    add("forget", "delete what is set of a connection, its secret too", _forget)

    change.add_argument(
        "settings",
        nargs="*",
        metavar="KEY=VALUE",
        help="mlflow: trackingUri, authType (none, basic, bearer), username, experimentName; "
        "langsmith, braintrust: apiUrl, projectName; all: enabled",
    )
    change.add_argument(
        "--secret",
        metavar="VARIABLE",
        help="the environment variable that holds the token or key; - asks for it, or reads it from a pipe",
    )
    load.add_argument(
        "--project", metavar="NAME", help="the experiment or project (default: the one that is set)"
    )
    load.add_argument("--since", metavar="TIME", type=_time, help="only traces begun since then, in ISO 8601")
    load.add_argument("--limit", metavar="N", type=count, help="at most so many, the newest")
    for command in (listing, test, load):
        command.add_argument("--json", action="store_true", help="as a JSON object")
    projects.add_argument("--json", action="store_true", help="as a JSON array")
    configure.description = (
        "Ask for the settings of a connection, store them and try it. No answer leaves what is set. "
        "Without a terminal, each line of standard input is an answer."
    )
    add_target_options(listing, configure, change, test)


def _list(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        found = desk.get_integrations()
    known = {name: form.without_secrets(name, values) for name, values in found.items()}
    if args.json:
        print(json.dumps(known, indent=2))
        return 0
    rows = [(name, key, value) for name, values in known.items() for key, value in values.items()]
    print(safe_text(table(("integration", "setting", "value"), rows)) if rows else "nothing is set up")
    return 0


def _set(args: argparse.Namespace) -> int:
    one = settings.known(args.name)
    fields = {field.alias or name: name for name, field in one.config.model_fields.items()}
    given: dict[str, Any] = {}
    for pair in args.settings:
        key, equals, value = pair.partition("=")
        if fields.get(key) == one.secret:
            raise UsageError(f"{key}: lists of processes would show it; give it with --secret")
        if not equals or key not in fields:
            known = ", ".join(key for key, name in fields.items() if name != one.secret)
            raise UsageError(f"expected KEY=VALUE, with one of {known} (found {pair!r})")
        given[key] = value or None
    if args.secret is not None:
        given[one.secret] = _secret(args.secret)
    with open_desk(args) as desk:
        desk.update_integration(args.name, given)
    return 0


def _configure(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        before = desk.get_integrations().get(args.name) or {}
        desk.update_integration(args.name, {"enabled": True, **form.ask(args.name, before)})
        tested = desk.test_integration(args.name)
    return _say(tested)


def _test(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        tested = desk.test_integration(args.name)
    if not args.json:
        return _say(tested)
    print(json.dumps(tested, indent=2))
    return int(not tested["connected"])


def _say(tested: dict[str, Any]) -> int:
    """Say whether there is a connection, and return the exit status."""
    if not tested["connected"]:
        print(safe_text(f"not connected: {tested.get('error') or 'no reason was given'}"))
        return 1
    facts = [f"MLflow {tested['mlflowVersion']}"] if tested.get("mlflowVersion") else []
    if tested.get("experimentCount") is not None:
        facts.append(f"{tested['experimentCount']} experiments")
    print(safe_text(f"connected{': ' if facts else ''}{', '.join(facts)}"))
    return 0


def _projects(args: argparse.Namespace) -> int:
    config = config_for(args)
    price = load_prices(config.prices).cost
    with open_store(config) as store:
        source = settings.connect(store, args.name, allow_private=True, price=price)
    try:
        with understood(args.name):
            found = source.projects()
    finally:
        source.close()
    if args.json:
        print(json.dumps([project._asdict() for project in found], indent=2))
    else:
        print(safe_text(table(("id", "name"), found)))
    return 0


def _import(args: argparse.Namespace) -> int:
    config = config_for(args)
    with open_store(config) as store:
        wanted = importing.planned(store, args.name, args.project, args.since, args.limit)
        job = importing.start(store, wanted)
        importing.Importer(
            store=store,
            redactor=Redactor(os.environ, config.redact),
            price=load_prices(config.prices).cost,
            allow_private=True,
            pause=_show,
        ).run(job)
    done = job.result
    if args.json:
        print(json.dumps({"jobId": job.id, **done}, indent=2))
        return 0
    print(f"{done['traces']} traces, {done['new']} of them new")
    if done["leftOut"]:
        print(f"{done['leftOut']} could not be read:", file=sys.stderr)
        print(safe_text("\n".join(done["reasons"])), file=sys.stderr)
    return 0


def _forget(args: argparse.Namespace) -> int:
    with open_store(config_for(args)) as store:
        settings.forget(store, args.name)
    return 0


def _show(job: Job) -> None:
    print(safe_text(job.step), file=sys.stderr)


def _secret(source: str) -> str:
    if source == "-":
        given = getpass("token or key: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    else:
        given = os.environ.get(source, "")
    if not given:
        raise UsageError(f"--secret: {'nothing was given' if source == '-' else f'${source} is not set'}")
    return given


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a time such as 2026-01-31 (found {text!r})") from None
