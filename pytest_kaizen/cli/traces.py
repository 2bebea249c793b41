"""``kaizen traces``: look at captured traces."""

from __future__ import annotations

import argparse
import json

from pytest_kaizen.capture.otel.export import otlp_json
from pytest_kaizen.report.listing import trace_text, traces_table
from pytest_kaizen.report.trace_json import trace_json
from pytest_kaizen.store import Store

from .context import config_for
from .runs import add_list_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list traces, the newest first")
    listing.add_argument(
        "--run", dest="run_id", metavar="RUN", help="of this run only: its id, the beginning of it, or 'last'"
    )
    listing.add_argument("--task", metavar="TASK", help="of this task only")
    add_list_options(listing)
    listing.add_argument("--otlp", action="store_true", help="as OTLP/JSON, for a collector's /v1/traces")
    listing.set_defaults(run=_list)

    show = commands.add_parser("show", help="show a trace with its scores, messages and tool calls")
    show.add_argument("id", metavar="TRACE", help="its id, the beginning of it, or 'last'")
    show.add_argument("--json", action="store_true", help="as a JSON object")
    show.set_defaults(run=_show)


def _list(args: argparse.Namespace) -> int:
    with Store.open(config_for(args).store, readonly=True) as store:
        run_id = None if args.run_id is None else store.run(args.run_id).id
        traces = store.traces(run_id=run_id, task=args.task, limit=args.limit)
    if args.otlp:
        print(json.dumps(otlp_json(traces)))
    elif args.json:
        print(json.dumps([trace_json(trace) for trace in traces], indent=2))
    else:
        print(traces_table(traces))
    return 0


def _show(args: argparse.Namespace) -> int:
    with Store.open(config_for(args).store, readonly=True) as store:
        trace = store.trace(args.id)
    print(json.dumps(trace_json(trace), indent=2) if args.json else trace_text(trace))
    return 0
