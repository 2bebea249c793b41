"""Drawing insights from traces: what ``kaizen run`` and ``kaizen insights generate`` share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from pytest_kaizen.errors import KaizenError, UsageError
from pytest_kaizen.pipeline.desk import LocalDesk, StartedStudy
from pytest_kaizen.pipeline.insights import DEFAULT_BUDGET_USD
from pytest_kaizen.report.text import safe_text

from .consent import agreed
from .context import config_for
from .numbers import count, dollars


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
    parser.add_argument(
        "--epochs", type=count, default=1, metavar="N", help="passes over the traces (default: 1)"
    )
    parser.add_argument(
        "--reflector-mode",
        choices=("recursive", "standard"),
        default="recursive",
        help="show long traces piece by piece as the model asks for them (default), or cut, in one call",
    )
    parser.add_argument(
        "--budget-usd",
        type=dollars,
        default=DEFAULT_BUDGET_USD,
        metavar="X",
        help=f"spend no more (default: {DEFAULT_BUDGET_USD:g})",
    )
    parser.add_argument(
        "--anthropic-key", metavar="KEY", help="the key for the model (default: ANTHROPIC_API_KEY); not kept"
    )
    parser.add_argument("--resume", metavar="JOB", help="go on with a job that was broken off")
    parser.add_argument("--yes", action="store_true", help="do not ask before what may cost much")
    parser.add_argument("--wait", action="store_true", help="with --json: show what came of the job, too")
    parser.add_argument("--json", action="store_true", help="as a JSON object")


def resume(args: argparse.Namespace, desk: LocalDesk) -> int:
    """Go on with the job that ``--resume`` names."""
    if args.traces or args.task:
        raise UsageError("--resume goes on with the traces that the job had")
    return _work(args, desk, desk.resume_insights(args.resume))


def study(args: argparse.Namespace, desk: LocalDesk, traces: Sequence[str] | None) -> int:
    """Draw insights from traces, in this process.

    Args:
        args: The parsed arguments.
        desk: Where the traces are.
        traces: Their ids; None for all.
    """
    started = desk.generate_insights(
        traces,
        task=args.task,
        model=args.model or config_for(args).judge.model,
        epochs=args.epochs,
        mode=args.reflector_mode,
        budget_usd=args.budget_usd,
    )
    return _work(args, desk, started)


def _work(args: argparse.Namespace, desk: LocalDesk, started: StartedStudy) -> int:
    go_on = f"to go on: kaizen run --resume {started.job_id}"
    for line in [*started.notes, *([started.doubt] if started.doubt else [])]:
        print(safe_text(line), file=sys.stderr)
    if started.doubt and not args.yes and not agreed("Go on?"):
        desk.stop_job(started.job_id)
        print(f"job {started.job_id} was stopped; {go_on}", file=sys.stderr)
        return 1
    try:
        job = desk.work(started.job_id, args.anthropic_key, _progress)
    except (KaizenError, KeyboardInterrupt):
        print(f"job {started.job_id} was broken off; {go_on}", file=sys.stderr)
        raise
    if args.json:
        more = job if args.wait else {}
        print(json.dumps({"jobId": started.job_id, "traces": started.traces, **more}, indent=2))
        return 0
    print(safe_text(f"job {started.job_id} completed: {job['result']['summary']}"))
    print("to decide about them: kaizen insights list --status pending", file=sys.stderr)
    return 0


def _progress(line: str) -> None:
    # A log that nobody watches has no use for it.
    if sys.stderr.isatty():
        print(safe_text(line), file=sys.stderr)
