"""``kaizen behaviors``, ``annotations`` and ``experiments``: what traces show, one by one and in groups."""

from __future__ import annotations

import argparse

from ..pipeline.observing import BUDGET_USD, MIN_CONFIDENCE
from ..report.platforms import (
    analysis_text,
    annotations_table,
    behaviors_table,
    detected_text,
    experiment_text,
    experiments_table,
)
from .desks import open_kalmia, reading, show
from .options import add_target_options, share


def declare_behaviors(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list behaviours, the newest first")
    listing.add_argument("--json", action="store_true", help="as a JSON array")
    listing.set_defaults(run=_list_behaviors)

    create = commands.add_parser("create", help="define a behaviour")
    create.add_argument("label", metavar="LABEL", help="its name")
    create.add_argument("description", metavar="DESCRIPTION", help="what it is, in plain language")
    create.add_argument("--json", action="store_true", help="as a JSON object")
    create.set_defaults(run=_create_behavior)

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
    detect.set_defaults(run=_detect_behaviors)

    add_target_options(listing, create, detect)


def _list_behaviors(args: argparse.Namespace) -> int:
    with open_kalmia(args, readonly=True) as kalmia:
        found = kalmia.list_behaviors()
    return show(args, found, behaviors_table)


def _create_behavior(args: argparse.Namespace) -> int:
    with open_kalmia(args) as kalmia:
        made = kalmia.create_behavior(args.label, args.description)
    return show(args, made, lambda made: behaviors_table([made]))


def _detect_behaviors(args: argparse.Namespace) -> int:
    with reading(args) as kalmia:
        found = kalmia.detect_behaviors(args.traces, args.labels, args.min_confidence)
    return show(args, found, detected_text)


def declare_annotations(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list annotations, the newest first")
    listing.add_argument("--trace", metavar="TRACE", help="of this trace only")
    listing.add_argument("--label", metavar="LABEL", help="of this behaviour only")
    listing.add_argument("--json", action="store_true", help="as a JSON array")
    listing.set_defaults(run=_list_annotations)

    create = commands.add_parser("create", help="say that a trace shows a behaviour")
    create.add_argument("trace", metavar="TRACE", help="its id")
    create.add_argument("label", metavar="LABEL", help="the behaviour; it need not be defined")
    create.add_argument(
        "--confidence", type=share, default=1.0, metavar="X", help="how sure you are, 0 to 1 (default: 1)"
    )
    create.add_argument("--notes", metavar="TEXT", help="why")
    create.add_argument("--json", action="store_true", help="as a JSON object")
    create.set_defaults(run=_create_annotation)

    add_target_options(listing, create)


def _list_annotations(args: argparse.Namespace) -> int:
    with open_kalmia(args, readonly=True) as kalmia:
        found = kalmia.list_annotations(args.trace, args.label)
    return show(args, found, annotations_table)


def _create_annotation(args: argparse.Namespace) -> int:
    with open_kalmia(args) as kalmia:
        made = kalmia.create_annotation(args.trace, args.label, args.confidence, args.notes)
    return show(args, made, lambda made: annotations_table([made]))


def declare_experiments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list experiments, the newest first")
    listing.add_argument("--json", action="store_true", help="as a JSON array")
    listing.set_defaults(run=_list_experiments)

    create = commands.add_parser(
        "create",
        help="group traces",
        description="Group the traces with these correlation ids, also those that come later. The "
        "correlation id of a trace is its metadata.correlationId; of one without, its whole id.",
    )
    create.add_argument("name", metavar="NAME", help="what people call it")
    create.add_argument("ids", metavar="ID", nargs="+", help="correlation ids")
    create.add_argument("--json", action="store_true", help="as a JSON object")
    create.set_defaults(run=_create_experiment)

    show = commands.add_parser("show", help="show an experiment with its traces and figures as they stand")
    show.add_argument("id", metavar="EXPERIMENT", help="its id")
    show.add_argument("--json", action="store_true", help="as a JSON object")
    show.set_defaults(run=_show_experiment)

    analyze = commands.add_parser(
        "analyze",
        help="have a model say what an experiment's traces show, which costs money",
        description="Have a model read an experiment's traces and say what they show. It costs money, "
        f"{BUDGET_USD:g} dollars at most on this machine.",
    )
    analyze.add_argument("id", metavar="EXPERIMENT", help="its id")
    analyze.add_argument("--question", metavar="TEXT", help="what to look for")
    analyze.add_argument("--model", metavar="MODEL", help="the model that reads (default: the judge's)")
    analyze.add_argument("--json", action="store_true", help="as a JSON object")
    analyze.set_defaults(run=_analyze_experiment)

    add_target_options(listing, create, show, analyze)


def _list_experiments(args: argparse.Namespace) -> int:
    with open_kalmia(args, readonly=True) as kalmia:
        found = kalmia.list_experiments()
    return show(args, found, experiments_table)


def _create_experiment(args: argparse.Namespace) -> int:
    with open_kalmia(args) as kalmia:
        made = kalmia.create_experiment(args.name, args.ids)
    return show(args, made, lambda made: experiments_table([made]))


def _show_experiment(args: argparse.Namespace) -> int:
    with open_kalmia(args, readonly=True) as kalmia:
        view = kalmia.view_experiment(args.id)
    return show(args, view, lambda view: experiment_text(*view))


def _analyze_experiment(args: argparse.Namespace) -> int:
    with reading(args) as kalmia:
        found = kalmia.analyze_experiment(args.id, args.question, args.model)
    return show(args, found, analysis_text)
