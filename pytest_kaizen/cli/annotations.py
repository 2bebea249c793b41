"""``kaizen annotations``: which traces show which behaviours."""

from __future__ import annotations

import argparse

from pytest_kaizen.report.kalmia import annotations_table

from .numbers import share
from .platforms import open_kalmia, show
from .target import add_target_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list annotations, the newest first")
    listing.add_argument("--trace", metavar="TRACE", help="of this trace only")
    listing.add_argument("--label", metavar="LABEL", help="of this behaviour only")
    listing.add_argument("--json", action="store_true", help="as a JSON array")
    listing.set_defaults(run=_list)

    create = commands.add_parser("create", help="say that a trace shows a behaviour")
    create.add_argument("trace", metavar="TRACE", help="its id")
    create.add_argument("label", metavar="LABEL", help="the behaviour; it need not be defined")
    create.add_argument(
        "--confidence", type=share, default=1.0, metavar="X", help="how sure you are, 0 to 1 (default: 1)"
    )
    create.add_argument("--notes", metavar="TEXT", help="why")
    create.add_argument("--json", action="store_true", help="as a JSON object")
    create.set_defaults(run=_create)

    add_target_options(listing, create)


def _list(args: argparse.Namespace) -> int:
    with open_kalmia(args, readonly=True) as kalmia:
        found = kalmia.list_annotations(args.trace, args.label)
    return show(args, found, annotations_table)


def _create(args: argparse.Namespace) -> int:
    with open_kalmia(args) as kalmia:
        made = kalmia.create_annotation(args.trace, args.label, args.confidence, args.notes)
    return show(args, made, lambda made: annotations_table([made]))
