"""``kaizen experiments``: groups of traces and their figures as they stand."""

from __future__ import annotations

import argparse

from pytest_kaizen.report.kalmia import experiment_text, experiments_table

from .platforms import open_kalmia, show
from .target import add_target_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list experiments, the newest first")
    listing.add_argument("--json", action="store_true", help="as a JSON array")
    listing.set_defaults(run=_list)

    create = commands.add_parser(
        "create",
        help="group traces",
        description="Group the traces with these correlation ids, also those that come later. The "
        "correlation id of a trace is its metadata.correlationId; of one without, its whole id.",
    )
    create.add_argument("name", metavar="NAME", help="what people call it")
    create.add_argument("ids", metavar="ID", nargs="+", help="correlation ids")
    create.add_argument("--json", action="store_true", help="as a JSON object")
    create.set_defaults(run=_create)

    show = commands.add_parser("show", help="show an experiment with its traces and figures as they stand")
    show.add_argument("id", metavar="EXPERIMENT", help="its id")
    show.add_argument("--json", action="store_true", help="as a JSON object")
    show.set_defaults(run=_show)

    add_target_options(listing, create, show)


def _list(args: argparse.Namespace) -> int:
    with open_kalmia(args, readonly=True) as kalmia:
        found = kalmia.list_experiments()
    return show(args, found, experiments_table)


def _create(args: argparse.Namespace) -> int:
    with open_kalmia(args) as kalmia:
        made = kalmia.create_experiment(args.name, args.ids)
    return show(args, made, lambda made: experiments_table([made]))


def _show(args: argparse.Namespace) -> int:
    with open_kalmia(args, readonly=True) as kalmia:
        view = kalmia.view_experiment(args.id)
    return show(args, view, lambda view: experiment_text(*view))
