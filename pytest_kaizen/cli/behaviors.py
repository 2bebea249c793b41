"""``kaizen behaviors``: what traces may show, in plain language."""

from __future__ import annotations

import argparse

from pytest_kaizen.report.kalmia import behaviors_table

from .platforms import open_kalmia, show
from .target import add_target_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list behaviours, the newest first")
    listing.add_argument("--json", action="store_true", help="as a JSON array")
    listing.set_defaults(run=_list)

    create = commands.add_parser("create", help="define a behaviour")
    create.add_argument("label", metavar="LABEL", help="its name")
    create.add_argument("description", metavar="DESCRIPTION", help="what it is, in plain language")
    create.add_argument("--json", action="store_true", help="as a JSON object")
    create.set_defaults(run=_create)

    add_target_options(listing, create)


def _list(args: argparse.Namespace) -> int:
    with open_kalmia(args, readonly=True) as kalmia:
        found = kalmia.list_behaviors()
    return show(args, found, behaviors_table)


def _create(args: argparse.Namespace) -> int:
    with open_kalmia(args) as kalmia:
        made = kalmia.create_behavior(args.label, args.description)
    return show(args, made, lambda made: behaviors_table([made]))
