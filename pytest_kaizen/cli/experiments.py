"""``kaizen experiments``: groups of traces and their figures as they stand."""

from __future__ import annotations

import argparse

from pytest_kaizen.pipeline.observing import BUDGET_USD
from pytest_kaizen.report.kalmia import analysis_text, experiment_text, experiments_table

from .platforms import open_kalmia, reading, show
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
    analyze.set_defaults(run=_analyze)

    add_target_options(listing, create, show, analyze)


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


def _analyze(args: argparse.Namespace) -> int:
    with reading(args) as kalmia:
        found = kalmia.analyze_experiment(args.id, args.question, args.model)
    return show(args, found, analysis_text)
