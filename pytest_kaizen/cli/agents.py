"""``kaizen agents``: the programs of which runs are reported."""

from __future__ import annotations

import argparse
import sys

from pytest_kaizen.errors import UsageError
from pytest_kaizen.report.kate import agents_table, summary_text
from pytest_kaizen.report.plain import plain

from .consent import agreed
from .platforms import ask, open_kate, show
from .target import add_target_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list agents, the newest first")
    listing.set_defaults(run=_list)

    one = commands.add_parser("show", help="show an agent; `kaizen runs list --agent` shows its runs")
    one.set_defaults(run=_show)

    summary = commands.add_parser(
        "summary", help="sum up the runs of an agent, and what their evaluation says"
    )
    summary.set_defaults(run=_summary)

    create = commands.add_parser("create", help="make an agent")
    create.add_argument("name", metavar="NAME", help="what people call it")
    create.add_argument(
        "--domain", default="general", metavar="WORD", help="what it is about (default: %(default)s)"
    )
    create.add_argument("--objective", metavar="TEXT", help="what it is to do")
    create.set_defaults(run=_create)

    update = commands.add_parser("update", help="change an agent; what is not given stays")
    update.add_argument("--name", metavar="NAME", help="what people call it")
    update.add_argument("--domain", metavar="WORD", help="what it is about")
    update.add_argument("--objective", metavar="TEXT", help="what it is to do")
    update.set_defaults(run=_update)

    delete = commands.add_parser(
        "delete",
        help="delete an agent with its runs; asks first where somebody can answer",
        description="Delete an agent with its runs, whose traces stay. Asks first where somebody can answer.",
    )
    delete.add_argument("--force", action="store_true", help="do not ask")
    delete.set_defaults(run=_delete)

    for command in (one, summary, update, delete):
        command.add_argument("agent", metavar="AGENT", help="its id")
    for command in (listing, one, summary, create, update, delete):
        command.add_argument(
            "--json", action="store_true", help=f"as a JSON {'array' if command is listing else 'object'}"
        )
    add_target_options(listing, one, summary, create, update, delete)


def _list(args: argparse.Namespace) -> int:
    with open_kate(args, readonly=True) as kate:
        found = ask(kate.agents.list())
    return show(args, found, agents_table)


def _show(args: argparse.Namespace) -> int:
    with open_kate(args, readonly=True) as kate:
        found = ask(kate.agents.get(args.agent))
    return show(args, found, lambda agent: agents_table([agent]))


def _summary(args: argparse.Namespace) -> int:
    with open_kate(args, readonly=True) as kate:
        found = ask(kate.evals.summary(args.agent))
    return show(args, found, summary_text)


def _create(args: argparse.Namespace) -> int:
    with open_kate(args) as kate:
        made = ask(kate.agents.create(args.name, args.domain, args.objective))
    return show(args, made, lambda agent: agents_table([agent]))


def _update(args: argparse.Namespace) -> int:
    changes = {name: getattr(args, name) for name in ("name", "domain", "objective")}
    if not any(changes.values()):
        raise UsageError("nothing to do: give --name, --domain or --objective")
    with open_kate(args) as kate:
        changed = ask(kate.agents.update(args.agent, **changes))
    return show(args, changed, lambda agent: agents_table([agent]))


def _delete(args: argparse.Namespace) -> int:
    if not args.force and not agreed(plain(f"delete agent {args.agent} and its runs?")):
        print("nothing was deleted", file=sys.stderr)
        return 1
    with open_kate(args) as kate:
        ask(kate.agents.delete(args.agent))
    return show(args, {"deleted": args.agent}, lambda done: plain(f"deleted {done['deleted']}"))
