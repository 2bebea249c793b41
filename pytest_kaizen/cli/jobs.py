"""``kaizen jobs``: the work in the background."""

from __future__ import annotations

import argparse
import json

from pytest_kaizen.errors import JobError
from pytest_kaizen.models.job import FINAL
from pytest_kaizen.report.insights import job_text, jobs_table

from .desk import open_desk
from .numbers import seconds
from .runs import add_list_options
from .status import look
from .target import add_target_options, is_remote


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list jobs, the newest first")
    listing.add_argument("--task", metavar="TASK", help="for this task only")
    listing.add_argument("--kind", metavar="KIND", help="of this kind only: optimize, insights and others")
    add_list_options(listing)
    listing.set_defaults(run=_list)

    show = commands.add_parser("show", help="say how a job stands; exits 1 for one that failed")
    show.set_defaults(run=_show)

    wait = commands.add_parser("wait", help="wait until a job has come to an end; exits 1 if it failed")
    wait.add_argument(
        "--interval", type=seconds, default=2.0, metavar="N", help="look every N seconds (default: 2)"
    )
    wait.set_defaults(run=_wait)

    cancel = commands.add_parser(
        "cancel",
        help="stop a job at its next step",
        description="Stop a job, in whatever process it runs, at its next step.",
    )
    cancel.set_defaults(run=_cancel)

    for command in (show, wait, cancel):
        command.add_argument(
            "job", metavar="JOB", help="its id; on this machine also the beginning of it, or 'last'"
        )
        command.add_argument("--json", action="store_true", help="as a JSON object")
    add_target_options(listing, show, wait, cancel)


def _list(args: argparse.Namespace) -> int:
    with open_desk(args, readonly=True) as desk:
        found = desk.list_jobs(args.limit, args.task, args.kind)
    print(json.dumps(found, indent=2) if args.json else jobs_table(found))
    return 0


def _show(args: argparse.Namespace) -> int:
    return look(args, wait=False)


def _wait(args: argparse.Namespace) -> int:
    return look(args, wait=True)


def _cancel(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        job = desk.get_job(args.job)
        if job["status"] in FINAL:
            raise JobError(f"job {job['jobId']} has come to an end already: {job['status']}")
        job = desk.stop_job(job["jobId"])
    print(json.dumps(job, indent=2) if args.json else job_text(job, here=not is_remote(args)))
    return 0
