"""``kaizen jobs`` and ``status``: the work in the background."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from ..errors import JobError, UsageError
from ..models.job import FINAL
from ..report.status import job_text, jobs_table
from ..report.text import safe_text
from .desks import ct_client, open_desk, show, wait_for_job
from .options import Target, add_list_options, add_target_options, is_remote, seconds, target_flags, target_of

if TYPE_CHECKING:
    from ..platforms.kaizen_ct import Job as CTJob


def declare_jobs(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list jobs, the newest first")
    listing.add_argument("--task", metavar="TASK", help="for this task only")
    listing.add_argument("--kind", metavar="KIND", help="of this kind only: optimize, insights and others")
    add_list_options(listing)
    listing.set_defaults(run=_list_jobs)

    show = commands.add_parser("show", help="say how a job stands; exits 1 for one that failed")
    show.set_defaults(run=_show_job)

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
    cancel.set_defaults(run=_cancel_job)

    retry = commands.add_parser("retry-pr", help="have a server try again to open a search's pull request")
    retry.set_defaults(run=_retry_pr)

    create = commands.add_parser(
        "create-pr", help="have a server open the pull request that a search previewed"
    )
    create.set_defaults(run=_create_pr)

    for command in (show, wait, cancel, retry, create):
        command.add_argument(
            "job", metavar="JOB", help="its id; on this machine also the beginning of it, or 'last'"
        )
        command.add_argument("--json", action="store_true", help="as a JSON object")
    add_target_options(listing, show, wait, cancel, retry, create)


def _list_jobs(args: argparse.Namespace) -> int:
    with open_desk(args, readonly=True) as desk:
        found = desk.list_jobs(args.limit, args.task, args.kind)
    print(json.dumps(found, indent=2) if args.json else jobs_table(found))
    return 0


def _show_job(args: argparse.Namespace) -> int:
    return _look(args, wait=False)


def _wait(args: argparse.Namespace) -> int:
    return _look(args, wait=True)


def _cancel_job(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        job = desk.get_job(args.job)
        if job["status"] in FINAL:
            raise JobError(f"job {job['jobId']} has come to an end already: {job['status']}")
        job = desk.stop_job(job["jobId"])
    print(json.dumps(job, indent=2) if args.json else job_text(job, here=not is_remote(args)))
    return 0


def _retry_pr(args: argparse.Namespace) -> int:
    with ct_client(_server(args)) as client:
        return _proposed(args, client.retry_pr(args.job))


def _create_pr(args: argparse.Namespace) -> int:
    with ct_client(_server(args)) as client:
        return _proposed(args, client.create_pr(args.job))


def _server(args: argparse.Namespace) -> Target:
    target = target_of(args, "kaizen-ct")
    if target is None:
        raise UsageError("name a server with --server URL; on this machine: `kaizen optimize TASK --pr`")
    return target


def _proposed(args: argparse.Namespace, job: CTJob) -> int:
    """Show where a job's pull request is; 1 if it could not be opened."""
    said = job.pr_url or job.error_message or job.status
    show(args, job, lambda job: safe_text(f"job {job.id}: {said}"))
    return int(job.pr_url is None)


def declare_status(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("job", metavar="JOB", help="its id, the beginning of it, or 'last'")
    parser.add_argument("--wait", action="store_true", help="until it has come to an end")
    parser.add_argument(
        "--interval", type=seconds, default=2.0, metavar="N", help="look every N seconds (default: 2)"
    )
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    add_target_options(parser)
    parser.set_defaults(run=_status)


def _look(args: argparse.Namespace, *, wait: bool) -> int:
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
    return _look(args, wait=args.wait)
