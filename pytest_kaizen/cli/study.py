"""Drawing insights from traces: what ``kaizen run`` and ``kaizen insights generate`` share."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_kaizen.errors import KaizenError, UsageError
from pytest_kaizen.models.insight import DEFAULT_BUDGET_USD
from pytest_kaizen.models.job import FINAL
from pytest_kaizen.report.text import safe_text

from .consent import agreed
from .context import config_for
from .desk import Desk, wait_for_job
from .numbers import count, dollars
from .progress import progress
from .target import target_flags

if TYPE_CHECKING:
    from pytest_kaizen.pipeline.desks.kayba import LocalDesk, StartedStudy
    from pytest_kaizen.pipeline.desks.kayba_server import ServerDesk

#: Seconds between two looks at a server's job.
_INTERVAL_S = 2.0


def add_study_options(parser: argparse.ArgumentParser) -> None:
    """Declare what both commands take."""
    parser.add_argument(
        "--traces",
        metavar="TRACE",
        nargs="+",
        action="extend",
        help="draw from these: their ids, or the beginnings of them",
    )
    parser.add_argument("--task", metavar="TASK", help="draw from traces of this task only")
    parser.add_argument("--model", metavar="MODEL", help="the model that reflects (default: the judge's)")
    parser.add_argument("--epochs", type=count, metavar="N", help="passes over the traces (default: 1)")
    parser.add_argument(
        "--reflector-mode",
        choices=("recursive", "standard"),
        help="show long traces piece by piece as the model asks for them (default), or cut, in one call",
    )
    parser.add_argument(
        "--budget-usd",
        type=dollars,
        metavar="X",
        help=f"spend no more (default: {DEFAULT_BUDGET_USD:g})",
    )
    parser.add_argument(
        "--anthropic-key",
        metavar="KEY",
        help="the key for the model (default: ANTHROPIC_API_KEY, which --server does not send); not kept",
    )
    parser.add_argument("--resume", metavar="JOB", help="go on with a job that was broken off")
    parser.add_argument("--yes", action="store_true", help="do not ask before what may cost much")
    parser.add_argument(
        "--wait",
        action="store_true",
        help="with --json: show what came of the job, too; on a server: until then",
    )
    parser.add_argument("--json", action="store_true", help="as a JSON object")


def resume(args: argparse.Namespace, desk: Desk) -> int:
    """Go on with the job that ``--resume`` names."""
    if not desk.here:
        raise UsageError("--resume is for the store on this machine; a server goes on with its jobs itself")
    if args.traces or args.task:
        raise UsageError("--resume goes on with the traces that the job had")
    return _work(args, desk, desk.resume_insights(args.resume))


def study(args: argparse.Namespace, desk: Desk, traces: Sequence[str] | None) -> int:
    """Draw insights from traces, in this process or on a server.

    Args:
        args: The parsed arguments.
        desk: Where the traces are.
        traces: Their ids; None for all.
    """
    if not desk.here:
        return _study_there(args, desk, traces)
    started = desk.generate_insights(
        traces,
        task=args.task,
        model=args.model or config_for(args).judge.model,
        epochs=args.epochs or 1,
        mode=args.reflector_mode or "recursive",
        budget_usd=args.budget_usd or DEFAULT_BUDGET_USD,
    )
    return _work(args, desk, started)


def _study_there(args: argparse.Namespace, desk: ServerDesk, traces: Sequence[str] | None) -> int:
    if args.budget_usd is not None:
        raise UsageError("--budget-usd: a server has its own; Kayba's API cannot tell it one")
    job_id, found = desk.generate_insights(
        traces,
        task=args.task,
        model=args.model,
        epochs=args.epochs,
        reflector_mode=args.reflector_mode,
        anthropic_key=args.anthropic_key or (os.environ.get("ANTHROPIC_API_KEY") if args.base_url else None),
    )
    again = f"kaizen status {job_id} --wait{target_flags(args)}"
    if args.wait:
        return _show(args, job_id, found, wait_for_job(desk, job_id, _INTERVAL_S, again))
    status = _show(args, job_id, found, {"status": "started"})
    print(safe_text(f"to wait for it: {again}"), file=sys.stderr)
    return status


def _work(args: argparse.Namespace, desk: LocalDesk, started: StartedStudy) -> int:
    go_on = f"to go on: kaizen run --resume {started.job_id}"
    for line in [*started.notes, *([started.doubt] if started.doubt else [])]:
        print(safe_text(line), file=sys.stderr)
    if started.doubt and not args.yes and not agreed("Go on?"):
        desk.stop_job(started.job_id)
        print(f"job {started.job_id} was stopped; {go_on}", file=sys.stderr)
        return 1
    try:
        with progress(f"job {started.job_id}") as say:
            job = desk.work(started.job_id, args.anthropic_key, say)
    except (KaizenError, KeyboardInterrupt):
        print(f"job {started.job_id} was broken off; {go_on}", file=sys.stderr)
        raise
    return _show(args, started.job_id, started.traces, job)


def _show(args: argparse.Namespace, job_id: str, traces: int, job: dict[str, Any]) -> int:
    """Show a job that came to an end, or was started only; return the exit status."""
    status, result = job["status"], job.get("result") or {}
    if args.json:
        more = job if args.wait else {}
        print(json.dumps({"jobId": job_id, "traces": traces, **more}, indent=2))
    if status in FINAL - {"completed"}:
        reason = job.get("error") or "no reason was given"
        print(safe_text(f"kaizen: job {job_id} {status}: {reason}"), file=sys.stderr)
        return 1
    if args.json:
        return 0
    summary = result.get("summary")
    print(safe_text(f"job {job_id} {status}{f': {summary}' if summary else ''}"))
    if status == "completed":
        next_command = f"kaizen insights list --status pending{target_flags(args)}"
        print(safe_text(f"to decide about them: {next_command}"), file=sys.stderr)
    return 0
