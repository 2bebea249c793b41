"""``kaizen optimize`` on a server, which searches with the task's feedback and keeps what it finds."""

from __future__ import annotations

import argparse
import sys

from pytest_kaizen.errors import UsageError
from pytest_kaizen.report.text import safe_text

from .platforms import ct_client
from .target import Target, target_flags

#: What a request cannot ask for, by the options that ask for it.
_ONLY_HERE = (
    "engine",
    "budget_usd",
    "max_rollouts",
    "source",
    "seed",
    "dry_run",
    "resume",
    "activate",
    "pr",
    "dismiss",
)


def start_there(args: argparse.Namespace, target: Target) -> int:
    """Start a search and print the id of its job; what it may cost goes to the error output.

    Raises:
        UsageError: An option was given that a request has no word for.
        PlatformError: The server does not start it.
    """
    for name in _ONLY_HERE:
        if getattr(args, name):
            option = "--from" if name == "source" else f"--{name.replace('_', '-')}"
            raise UsageError(f"{option}: a server searches as its task and its kaizen.yaml say")
    with ct_client(target) as client:
        begun = client.trigger_optimization(args.task)
    cost = begun.cost_estimate
    lines = [
        f"{args.task}: up to {cost.estimated_llm_calls} calls, ${cost.estimated_cost_usd:.2f}",
        *([begun.budget_warning] if begun.budget_warning else []),
        f"to wait for it: kaizen jobs wait {begun.job.id}{target_flags(args)}",
    ]
    print(safe_text("\n".join(lines)), file=sys.stderr)
    print(begun.job.id)
    return 0
