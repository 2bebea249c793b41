"""``kaizen traces``: look at captured traces."""

from __future__ import annotations

import argparse
import json
import sys

from pytest_kaizen.capture.otel.export import otlp_json
from pytest_kaizen.errors import UsageError
from pytest_kaizen.report.insights import file_text, files_table
from pytest_kaizen.report.listing import found_table, trace_facts_text, trace_text, traces_table
from pytest_kaizen.report.plain import plain
from pytest_kaizen.report.trace_json import META_KEYS, trace_json
from pytest_kaizen.store import Store

from . import upload
from .consent import agreed
from .context import config_for
from .desk import open_desk
from .numbers import share
from .platforms import open_ct, open_kalmia, show
from .runs import LIST_LIMIT, add_list_options
from .target import add_target_options, is_remote


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
    # A server's list is not cut: scripts written for Kayba take it for the whole.
    listing.set_defaults(run=_list, limit=None)

    show = commands.add_parser("show", help="show a trace with its scores, messages and tool calls")
    show.add_argument("id", metavar="TRACE", help="its id, the beginning of it, or 'last'")
    show.add_argument("--meta", action="store_true", help="without its content")
    show.add_argument("--json", action="store_true", help="as a JSON object")
    show.set_defaults(run=_show)

    put = commands.add_parser("upload", help=upload.HELP, description=upload.DESCRIPTION)
    upload.add_arguments(put)

    delete = commands.add_parser("delete", help="delete traces; asks first where somebody can answer")
    delete.add_argument("ids", metavar="TRACE", nargs="+", help="their ids, or the beginnings of them")
    delete.add_argument("--force", action="store_true", help="do not ask")
    delete.add_argument("--json", action="store_true", help="as a JSON object")
    delete.set_defaults(run=_delete)

    search = commands.add_parser(
        "search",
        help="find traces by words in their messages, the last stored first",
        description='Find traces that have all the words, in capitals or not; "in quotes" one after the '
        "other, -word not at all.",
    )
    search.add_argument("query", metavar="WORDS", help="one text, in quotes where it has several words")
    search.add_argument("--project", metavar="NAME", help="of this project only, as their metadata has it")
    add_list_options(search)
    search.set_defaults(run=_search)

    rate = commands.add_parser("rate", help="say that a trace is good or bad; what is not given stays")
    rate.add_argument("id", metavar="TRACE", help="its id")
    thumb = rate.add_mutually_exclusive_group()
    for word in ("up", "down"):
        thumb.add_argument(
            f"--{word}", dest="rating", action="store_const", const=word, help=f"thumbs {word}"
        )
    rate.add_argument("--comment", metavar="TEXT", help="why")
    rate.set_defaults(run=_rate)

    score = commands.add_parser("score", help="give a trace a score, over an earlier one")
    score.add_argument("id", metavar="TRACE", help="its id")
    score.add_argument("score", metavar="X", type=share, help="from 0 to 1")
    score.add_argument("--by", default="cli", metavar="NAME", help="who says so (default: %(default)s)")
    score.set_defaults(run=_score)

    for command in (rate, score):
        command.add_argument("--json", action="store_true", help="as a JSON object")
    add_target_options(listing, show, delete, search, rate, score)


def _list(args: argparse.Namespace) -> int:
    if is_remote(args):
        return _list_there(args)
    with Store.open(config_for(args).store, readonly=True) as store:
        run_id = None if args.run_id is None else store.run(args.run_id).id
        limit = args.limit or LIST_LIMIT
        traces = store.traces(run_id=run_id, task=args.task, limit=limit + 1)
    if len(traces) > limit:
        traces.pop()
        if args.limit is None:
            print(f"the newest {limit}; for more: --limit N", file=sys.stderr)
    if args.otlp:
        print(json.dumps(otlp_json(traces)))
    elif args.json:
        print(json.dumps([trace_json(trace) for trace in traces], indent=2))
    else:
        print(traces_table(traces))
    return 0


def _list_there(args: argparse.Namespace) -> int:
    if args.otlp or args.run_id:
        raise UsageError("--otlp and --run are for the store on this machine: a server's list has no runs")
    with open_desk(args) as desk:
        traces = desk.list_traces(args.limit, args.task)
    print(json.dumps(traces, indent=2) if args.json else files_table(traces))
    return 0


def _show(args: argparse.Namespace) -> int:
    if args.json or is_remote(args):
        with open_desk(args, readonly=True) as desk:
            values = desk.get_trace(args.id)
        shown = {key: values[key] for key in META_KEYS} if args.meta else values
        print(json.dumps(shown, indent=2) if args.json else file_text(values, meta=args.meta))
        return 0
    with Store.open(config_for(args).store, readonly=True) as store:
        trace = store.trace(args.id)
    print(trace_facts_text(trace) if args.meta else trace_text(trace))
    return 0


def _delete(args: argparse.Namespace) -> int:
    count = len(args.ids)
    if not args.force and not agreed(f"delete {count} trace{'s' * (count != 1)}?"):
        print("nothing was deleted", file=sys.stderr)
        return 1
    with open_desk(args) as desk:
        done = desk.delete_traces(args.ids)
    if args.json:
        print(json.dumps(done, indent=2))
    else:
        for trace_id in done["deleted"]:
            print(f"deleted {trace_id}")
    for error in done["errors"]:
        print(plain(f"kaizen: {error['error']}"), file=sys.stderr)
    return int(bool(done["errors"]))


def _search(args: argparse.Namespace) -> int:
    with open_kalmia(args, readonly=True) as kalmia:
        found = kalmia.find_traces(args.query, args.project, args.limit)
    return show(args, found, found_table)


def _rate(args: argparse.Namespace) -> int:
    if args.rating is None and args.comment is None:
        raise UsageError("nothing to say: give --up, --down or --comment")
    with open_kalmia(args) as kalmia:
        kalmia.submit_feedback(args.id, args.rating, args.comment)
    said = {"id": args.id, "rating": args.rating, "comment": args.comment}
    return show(args, said, lambda said: plain(f"rated {said['id']}"))


def _score(args: argparse.Namespace) -> int:
    with open_ct(args) as ct:
        ct.score(args.id, args.score, args.by)
    said = {"id": args.id, "score": args.score, "scored_by": args.by}
    return show(args, said, lambda said: plain(f"scored {said['id']}: {said['score']:g}"))
