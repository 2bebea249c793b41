"""``kaizen behaviors``: what traces may show, in plain language."""

from __future__ import annotations

import argparse

from pytest_kaizen.pipeline.observing import BUDGET_USD, MIN_CONFIDENCE
from pytest_kaizen.report.kalmia import behaviors_table, detected_text

from .numbers import share
from .platforms import open_kalmia, reading, show
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

    detect = commands.add_parser(
        "detect",
        help="have a model annotate traces with the behaviours they show, which costs money",
        description="Have a model say which behaviours traces show, and annotate them with those it is sure "
        f"enough of. It costs money, {BUDGET_USD:g} dollars at most on this machine.",
    )
    detect.add_argument("traces", metavar="TRACE", nargs="+", help="their ids")
    detect.add_argument(
        "--label",
        dest="labels",
        action="append",
        metavar="LABEL",
        help="look for this; repeatable (default: all)",
    )
    detect.add_argument(
        "--min-confidence", type=share, metavar="X", help=f"how sure it must be (default: {MIN_CONFIDENCE})"
    )
    detect.add_argument("--json", action="store_true", help="as a JSON object")
    detect.set_defaults(run=_detect)

    add_target_options(listing, create, detect)


def _list(args: argparse.Namespace) -> int:
    with open_kalmia(args, readonly=True) as kalmia:
        found = kalmia.list_behaviors()
    return show(args, found, behaviors_table)


def _create(args: argparse.Namespace) -> int:
    with open_kalmia(args) as kalmia:
        made = kalmia.create_behavior(args.label, args.description)
    return show(args, made, lambda made: behaviors_table([made]))


def _detect(args: argparse.Namespace) -> int:
    with reading(args) as kalmia:
        found = kalmia.detect_behaviors(args.traces, args.labels, args.min_confidence)
    return show(args, found, detected_text)
