"""``kaizen status``: how a job stands."""

from __future__ import annotations

import argparse
import json

from pytest_kaizen.models.job import FINAL
from pytest_kaizen.report.insights import job_text

from .desk import open_desk, wait_for_job
from .numbers import seconds
from .target import add_target_options, is_remote, target_flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("job", metavar="JOB", help="its id, the beginning of it, or 'last'")
    parser.add_argument("--wait", action="store_true", help="until it has come to an end")
    parser.add_argument(
        "--interval", type=seconds, default=2.0, metavar="N", help="look every N seconds (default: 2)"
    )
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    add_target_options(parser)
    parser.set_defaults(run=_status)


def look(args: argparse.Namespace, *, wait: bool) -> int:
    """Show how the job that was named stands; 1 for one that failed or was stopped.

    Args:
        args: The parsed arguments.
        wait: Until it has come to an end.
    """
    with open_desk(args, readonly=True) as desk:
        again = f"kaizen status {args.job} --wait{target_flags(args)}"
        job = wait_for_job(desk, args.job, args.interval, again) if wait else desk.get_job(args.job)
    print(json.dumps(job, indent=2) if args.json else job_text(job, here=not is_remote(args)))
    return int(job["status"] in FINAL - {"completed"})


def _status(args: argparse.Namespace) -> int:
    return look(args, wait=args.wait)
