"""``kaizen runs``: look at past runs, and at those of an agent."""

from __future__ import annotations

import argparse
import json

from pytest_kaizen.errors import UsageError
from pytest_kaizen.report.listing import run_text, runs_table
from pytest_kaizen.report.trace_json import run_json
from pytest_kaizen.store import Store

from . import agent_runs
from .context import config_for
from .target import add_target_options, is_remote

#: The most that a list has where nothing else is said.
LIST_LIMIT = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list runs, the newest first")
    add_list_options(listing)
    listing.set_defaults(run=_list)

    show = commands.add_parser("show", help="show a run with its tasks, cases and gates")
    show.add_argument("id", metavar="RUN", help="its id; of a test run also the beginning of it, or 'last'")
    show.add_argument("--json", action="store_true", help="as a JSON object")
    show.set_defaults(run=_show)

    for command in (listing, show):
        command.add_argument(
            "--agent", metavar="AGENT", help="what programs reported of this agent, in the place of test runs"
        )
        add_target_options(command)
    agent_runs.add_commands(commands)


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """Declare what every list takes."""
    parser.add_argument(
        "--limit", type=_positive, default=LIST_LIMIT, metavar="N", help=f"at most N (default: {LIST_LIMIT})"
    )
    parser.add_argument("--json", action="store_true", help="as a JSON array")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 up (found {text!r})")
    return int(text)


def _list(args: argparse.Namespace) -> int:
    if _is_of_agent(args):
        return agent_runs.list_runs(args)
    with Store.open(config_for(args).store, readonly=True) as store:
        runs = store.runs(args.limit)
    print(json.dumps([run_json(run) for run in runs], indent=2) if args.json else runs_table(runs))
    return 0


def _show(args: argparse.Namespace) -> int:
    if _is_of_agent(args):
        return agent_runs.show_run(args)
    with Store.open(config_for(args).store, readonly=True) as store:
        run = store.run(args.id)
        cases = store.cases(run.id)
    print(json.dumps(run_json(run, cases), indent=2) if args.json else run_text(run, cases))
    return 0


def _is_of_agent(args: argparse.Namespace) -> bool:
    if args.agent is None and is_remote(args):
        raise UsageError("a server has runs of agents: name one with --agent; test runs are on this machine")
    return args.agent is not None
