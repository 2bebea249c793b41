"""``kaizen traces``, ``runs`` and ``exec``: look at traces and runs, keep traces of any program."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

from ..capture.otel import otlp_json
from ..errors import UsageError
from ..models import Trace
from ..report.as_json import META_KEYS, run_json, trace_json
from ..report.listing import found_table, run_text, runs_table, trace_facts_text, trace_text, traces_table
from ..report.status import file_text, files_table
from ..report.text import plain
from ..store import Store
from . import agents, trace_files
from .configuration import config_for
from .desks import open_ct, open_desk, open_kalmia, show
from .options import LIST_LIMIT, add_list_options, add_target_options, is_remote, share
from .terminal import agreed

_NOT_FOUND = 127


def declare_traces(parser: argparse.ArgumentParser) -> None:
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
    listing.set_defaults(run=_list_traces, limit=None)

    show = commands.add_parser("show", help="show a trace with its scores, messages and tool calls")
    show.add_argument("id", metavar="TRACE", help="its id, the beginning of it, or 'last'")
    show.add_argument("--meta", action="store_true", help="without its content")
    show.add_argument("--json", action="store_true", help="as a JSON object")
    show.set_defaults(run=_show_trace)

    put = commands.add_parser(
        "upload", help=trace_files.UPLOAD_HELP, description=trace_files.UPLOAD_DESCRIPTION
    )
    trace_files.declare_upload(put)

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


def _list_traces(args: argparse.Namespace) -> int:
    if is_remote(args):
        return _list_traces_there(args)
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


def _list_traces_there(args: argparse.Namespace) -> int:
    if args.otlp or args.run_id:
        raise UsageError("--otlp and --run are for the store on this machine: a server's list has no runs")
    with open_desk(args) as desk:
        traces = desk.list_traces(args.limit, args.task)
    print(json.dumps(traces, indent=2) if args.json else files_table(traces))
    return 0


def _show_trace(args: argparse.Namespace) -> int:
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


def declare_runs(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list runs, the newest first")
    add_list_options(listing)
    listing.set_defaults(run=_list_runs)

    show = commands.add_parser("show", help="show a run with its tasks, cases and gates")
    show.add_argument("id", metavar="RUN", help="its id; of a test run also the beginning of it, or 'last'")
    show.add_argument("--json", action="store_true", help="as a JSON object")
    show.set_defaults(run=_show_run)

    for command in (listing, show):
        command.add_argument(
            "--agent", metavar="AGENT", help="what programs reported of this agent, in the place of test runs"
        )
        add_target_options(command)
    agents.declare_agent_runs(commands)


def _list_runs(args: argparse.Namespace) -> int:
    if _is_of_agent(args):
        return agents.list_agent_runs(args)
    with Store.open(config_for(args).store, readonly=True) as store:
        runs = store.runs(args.limit)
    print(json.dumps([run_json(run) for run in runs], indent=2) if args.json else runs_table(runs))
    return 0


def _show_run(args: argparse.Namespace) -> int:
    if _is_of_agent(args):
        return agents.show_agent_run(args)
    with Store.open(config_for(args).store, readonly=True) as store:
        run = store.run(args.id)
        cases = store.cases(run.id)
    print(json.dumps(run_json(run, cases), indent=2) if args.json else run_text(run, cases))
    return 0


def _is_of_agent(args: argparse.Namespace) -> bool:
    if args.agent is None and is_remote(args):
        raise UsageError("a server has runs of agents: name one with --agent; test runs are on this machine")
    return args.agent is not None


def declare_exec(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Run a program in any language with ANTHROPIC_BASE_URL and OPENAI_BASE_URL pointing to a proxy on "
        "this machine, which passes every request on as it is and stores a trace of each model call. Exits "
        "as the program does."
    )
    parser.add_argument("--task", metavar="TASK", help="the task that the traces are of")
    parser.add_argument("words", metavar="-- COMMAND", nargs=argparse.REMAINDER, help="the program to run")
    parser.set_defaults(run=_exec)


def _exec(args: argparse.Namespace) -> int:
    try:
        from ..server.proxy.recorder import recorded
    except ImportError as exc:
        raise UsageError(
            f"kaizen exec needs {exc.name}, which an extra brings: pip install 'pytest-kaizen[server]'"
        ) from None
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        raise UsageError("name the program: kaizen exec -- COMMAND")
    config = config_for(args)
    with Store.open(config.store) as store:

        def keep(trace: Trace) -> None:
            store.shelf.add([trace.model_copy(update={"task": args.task})])

        with recorded(config, keep) as (recorder, environment):
            status = _run_program(words, environment)
    calls = f"{recorder.kept} call{'s' * (recorder.kept != 1)}"
    print(f"kaizen: {calls} stored: kaizen traces list", file=sys.stderr)
    return status


def _run_program(words: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        program = subprocess.Popen(words, env=environment)
    except OSError as exc:
        print(f"kaizen: {words[0]}: cannot be run: {exc.strerror}", file=sys.stderr)
        return _NOT_FOUND

    def pass_on(number: int, _frame: FrameType | None) -> None:
        program.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    # A terminal sends Ctrl-C to the program itself; it decides what becomes of it.
    ignored = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        status = program.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, ignored)
    return status if status >= 0 else 128 - status
