"""``kaizen run``: draw insights from traces that are chosen from a list, or named."""

from __future__ import annotations

import argparse
import sys

from pytest_kaizen.errors import UsageError

from .desk import open_desk
from .study import add_study_options, resume, study
from .target import add_target_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    add_study_options(parser)
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
            return resume(args, desk)
        if given:
            return study(args, desk, args.traces)
        # Its library draws on the terminal and is an extra, which scripts do without.
        from .picker import pick

        return study(args, desk, pick(desk, args.task))
