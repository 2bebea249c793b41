"""``kaizen insights``: draw them from traces, look at them, accept or reject them."""

from __future__ import annotations

import argparse
import json

from pytest_kaizen.errors import UsageError
from pytest_kaizen.models import InsightStatus
from pytest_kaizen.report.insights import insights_table

from .desk import open_desk
from .study import add_study_options, resume, study
from .target import add_target_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    generate = commands.add_parser(
        "generate",
        help="draw insights from traces, which costs money",
        description="Draw insights from traces (all of them, or those named) with a model that reflects, and "
        "store them as pending: a person accepts or rejects them.",
    )
    add_study_options(generate)
    generate.set_defaults(run=_generate)

    listing = commands.add_parser("list", help="list insights, the newest first")
    listing.add_argument(
        "--status",
        choices=("new", *(status.value for status in InsightStatus)),
        help="of this status only (new: the same as pending)",
    )
    listing.add_argument("--section", metavar="SECTION", help="of this section only")
    listing.add_argument("--task", metavar="TASK", help="of this task only")
    listing.add_argument("--json", action="store_true", help="as a JSON array")
    listing.set_defaults(run=_list)

    triage = commands.add_parser("triage", help="accept or reject insights")
    for name in ("accept", "reject"):
        triage.add_argument(
            f"--{name}",
            metavar="ID",
            nargs="+",
            action="extend",
            default=[],
            help=f"{name} these: their ids, or the beginnings of them",
        )
    triage.add_argument("--accept-all", action="store_true", help="accept all that are pending")
    triage.add_argument("--note", metavar="TEXT", help="why")
    triage.add_argument("--json", action="store_true", help="as a JSON array")
    triage.set_defaults(run=_triage)

    add_target_options(generate, listing, triage)


def _generate(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        return resume(args, desk) if args.resume else study(args, desk, args.traces)


def _list(args: argparse.Namespace) -> int:
    with open_desk(args, readonly=True) as desk:
        found = desk.list_insights(args.status, args.section, args.task)
    print(json.dumps(found, indent=2) if args.json else insights_table(found))
    return 0


def _triage(args: argparse.Namespace) -> int:
    if not (args.accept or args.reject or args.accept_all):
        raise UsageError("nothing to do: give --accept ID, --reject ID or --accept-all")
    with open_desk(args) as desk:
        changed = desk.triage_insights(args.accept, args.reject, accept_all=args.accept_all, note=args.note)
    if args.json:
        print(json.dumps(changed, indent=2))
        return 0
    accepted = sum(insight["status"] == "accepted" for insight in changed)
    print(f"accepted {accepted}, rejected {len(changed) - accepted}")
    return 0
