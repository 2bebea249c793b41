"""``kaizen insights`` and ``run``: draw insights from traces, look at them, accept or reject them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import KaizenError, UsageError
from ..models import InsightStatus
from ..models.job import FINAL
from ..models.proposal import DEFAULT_BUDGET_USD
from ..report.status import insights_table
from ..report.text import plain, safe_text
from .configuration import config_for
from .desks import Desk, open_desk, wait_for_job
from .options import add_target_options, count, dollars, target_flags
from .terminal import agreed, progress

if TYPE_CHECKING:
    from ..pipeline.desks.kayba import LocalDesk, StartedStudy
    from ..pipeline.desks.servers import ServerDesk

#: Seconds between two looks at a server's job.
_INTERVAL_S = 2.0

#: How many are offered, the newest.
_OFFERED = 200


def declare_insights(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    generate = commands.add_parser(
        "generate",
        help="draw insights from traces, which costs money",
        description="Draw insights from traces (all of them, or those named) with a model that reflects, and "
        "store them as pending: a person accepts or rejects them.",
    )
    _add_study_options(generate)
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
    listing.set_defaults(run=_list_insights)

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
        return _resume(args, desk) if args.resume else _study(args, desk, args.traces)


def _list_insights(args: argparse.Namespace) -> int:
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


def declare_run(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    _add_study_options(parser)
    parser.add_argument("--all", action="store_true", help="draw from all traces")
    add_target_options(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    given = [name for name in ("all", "traces", "resume") if getattr(args, name)]
    if len(given) > 1:
        raise UsageError(f"--{given[0]} and --{given[1]} exclude each other")
    if not given:
        if args.json:
            raise UsageError("--json needs --all or --traces: nothing is asked then")
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError("there is no terminal to choose traces on; name them: --all or --traces ID")
    with open_desk(args) as desk:
        if args.resume:
            return _resume(args, desk)
        if given:
            return _study(args, desk, args.traces)
        return _study(args, desk, _pick(desk, args.task))


def _add_study_options(parser: argparse.ArgumentParser) -> None:
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


def _resume(args: argparse.Namespace, desk: Desk) -> int:
    """Go on with the job that ``--resume`` names."""
    if not desk.here:
        raise UsageError("--resume is for the store on this machine; a server goes on with its jobs itself")
    if args.traces or args.task:
        raise UsageError("--resume goes on with the traces that the job had")
    return _work(args, desk, desk.resume_insights(args.resume))


def _study(args: argparse.Namespace, desk: Desk, traces: Sequence[str] | None) -> int:
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
        return _show_job(args, job_id, found, wait_for_job(desk, job_id, _INTERVAL_S, again))
    status = _show_job(args, job_id, found, {"status": "started"})
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
    return _show_job(args, started.job_id, started.traces, job)


def _show_job(args: argparse.Namespace, job_id: str, traces: int, job: dict[str, Any]) -> int:
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


def _pick(desk: Desk, task: str | None = None) -> list[str]:
    """Let the user choose traces.

    Args:
        desk: Where they are.
        task: Offer those of this task only.

    Returns:
        Their ids.

    Raises:
        UsageError: There is nothing to choose from, nothing was chosen, or the extra is missing.
        KeyboardInterrupt: The user gave up.
    """
    try:
        # It draws on the terminal, and scripts do without.
        import questionary
    except ImportError:
        raise UsageError(
            "the list to choose from needs an extra: pip install 'pytest-kaizen[cli]'; "
            "or name the traces: --all or --traces ID"
        ) from None
    traces = desk.list_traces(_OFFERED, task)
    if not traces:
        raise UsageError("there are no traces to choose from; run `pytest --kaizen`, or upload some")
    choices = [questionary.Choice(_title(trace), trace["id"]) for trace in traces]
    chosen: list[str] = questionary.checkbox("Draw insights from:", choices=choices).unsafe_ask()
    if not chosen:
        raise UsageError("no trace was chosen")
    return chosen


def _title(trace: dict[str, Any]) -> str:
    """Name a trace in one line; nothing in it reaches the terminal as an escape."""
    task = f"  {trace['task']}" if trace.get("task") else ""
    text = f"{trace['id'][:8]}  {trace['filename']}{task}  {trace['uploadedAt'][:19]}  {trace['size']} bytes"
    return plain(" ".join(text.split()))
