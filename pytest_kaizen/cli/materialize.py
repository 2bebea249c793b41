"""``kaizen materialize``: a job's insights into the skillbook."""

from __future__ import annotations

import argparse
import json

from .desk import open_desk
from .target import add_target_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("job", metavar="JOB", help="its id, the beginning of it, or 'last'")
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    add_target_options(parser)
    parser.set_defaults(run=_materialize)


def _materialize(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        done = desk.materialize_job(args.job)
    count = done["skillsGenerated"]
    text = f"job {done['jobId']}: {count} insight{'s' * (count != 1)} in the skillbook"
    print(json.dumps(done, indent=2) if args.json else text)
    return 0
