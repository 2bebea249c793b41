"""``kaizen agents``, and ``kaizen runs … --agent``: programs, and the runs that they report."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import ValidationError

from ..errors import KaizenError, UsageError
from ..report.platforms import agent_runs_table, agents_table, steps_table, summary_text
from ..report.text import plain, safe_text
from .desks import ask, open_kate, show
from .options import add_target_options
from .terminal import agreed, progress

if TYPE_CHECKING:
    # The name of what argparse returns is private.
    from argparse import _SubParsersAction

    from ..pipeline.desks.tasks_agents import LocalKate
    from ..platforms.kate import NewSpan, Run

_TRIGGERS = ("manual", "automatic", "test")
_AGENT_VARIABLE = "KATE_AGENT_ID"


def declare_agents(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    listing = commands.add_parser("list", help="list agents, the newest first")
    listing.set_defaults(run=_list_agents)

    one = commands.add_parser("show", help="show an agent; `kaizen runs list --agent` shows its runs")
    one.set_defaults(run=_show_agent)

    summary = commands.add_parser(
        "summary", help="sum up the runs of an agent, and what their evaluation says"
    )
    summary.set_defaults(run=_summary)

    create = commands.add_parser("create", help="make an agent")
    create.add_argument("name", metavar="NAME", help="what people call it")
    create.add_argument(
        "--domain", default="general", metavar="WORD", help="what it is about (default: %(default)s)"
    )
    create.add_argument("--objective", metavar="TEXT", help="what it is to do")
    create.set_defaults(run=_create_agent)

    update = commands.add_parser("update", help="change an agent; what is not given stays")
    update.add_argument("--name", metavar="NAME", help="what people call it")
    update.add_argument("--domain", metavar="WORD", help="what it is about")
    update.add_argument("--objective", metavar="TEXT", help="what it is to do")
    update.set_defaults(run=_update_agent)

    delete = commands.add_parser(
        "delete",
        help="delete an agent with its runs; asks first where somebody can answer",
        description="Delete an agent with its runs, whose traces stay. Asks first where somebody can answer.",
    )
    delete.add_argument("--force", action="store_true", help="do not ask")
    delete.set_defaults(run=_delete_agent)

    for command in (one, summary, update, delete):
        command.add_argument("agent", metavar="AGENT", help="its id")
    for command in (listing, one, summary, create, update, delete):
        command.add_argument(
            "--json", action="store_true", help=f"as a JSON {'array' if command is listing else 'object'}"
        )
    add_target_options(listing, one, summary, create, update, delete)


def _list_agents(args: argparse.Namespace) -> int:
    with open_kate(args, readonly=True) as kate:
        found = ask(kate.agents.list())
    return show(args, found, agents_table)


def _show_agent(args: argparse.Namespace) -> int:
    with open_kate(args, readonly=True) as kate:
        found = ask(kate.agents.get(args.agent))
    return show(args, found, lambda agent: agents_table([agent]))


def _summary(args: argparse.Namespace) -> int:
    with open_kate(args, readonly=True) as kate:
        found = ask(kate.evals.summary(args.agent))
    return show(args, found, summary_text)


def _create_agent(args: argparse.Namespace) -> int:
    with open_kate(args) as kate:
        made = ask(kate.agents.create(args.name, args.domain, args.objective))
    return show(args, made, lambda agent: agents_table([agent]))


def _update_agent(args: argparse.Namespace) -> int:
    changes = {name: getattr(args, name) for name in ("name", "domain", "objective")}
    if not any(changes.values()):
        raise UsageError("nothing to do: give --name, --domain or --objective")
    with open_kate(args) as kate:
        changed = ask(kate.agents.update(args.agent, **changes))
    return show(args, changed, lambda agent: agents_table([agent]))


def _delete_agent(args: argparse.Namespace) -> int:
    if not args.force and not agreed(plain(f"delete agent {args.agent} and its runs?")):
        print("nothing was deleted", file=sys.stderr)
        return 1
    with open_kate(args) as kate:
        ask(kate.agents.delete(args.agent))
    return show(args, {"deleted": args.agent}, lambda done: plain(f"deleted {done['deleted']}"))


def declare_agent_runs(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the commands in the group ``runs``."""
    create = commands.add_parser(
        "create",
        help="begin a run of an agent, which takes spans until it is completed",
        description="Begin a run of an agent, which takes spans until it is completed. An agent with a name "
        "of your own, in letters, digits, - and _, is made by its first run.",
    )
    create.add_argument(
        "--trigger", choices=_TRIGGERS, default="manual", help="what began it (default: %(default)s)"
    )
    create.add_argument("--run-id", type=_uuid, metavar="UUID", help="its id (default: a new one)")
    create.set_defaults(run=_create_run)

    upload = commands.add_parser("upload", help="add spans to a run of an agent")
    complete = commands.add_parser(
        "complete",
        help="end a run of an agent, which is then evaluated",
        description="End a run of an agent, which is then evaluated by the agent's rubric or objective, "
        "unless it was a moment ago (cooldown_s); a server does that later. Once more evaluates a run that "
        "was not.",
    )
    complete.set_defaults(run=_complete_run)
    spans = commands.add_parser("spans", help="list the spans of a run of an agent, in their order")
    spans.set_defaults(run=_list_spans)
    for command in (upload, complete, spans):
        command.add_argument("id", metavar="RUN", help="its id")
    upload.add_argument(
        "file",
        metavar="FILE.json",
        type=Path,
        help="an array of spans, each with node_name, and span_kind, input_text, output_text, model, "
        "latency_ms, token_count, error where known; - for standard input",
    )
    upload.set_defaults(run=_upload_spans)

    enqueue = commands.add_parser("enqueue", help="have a server run an agent that its operator declared")
    enqueue.add_argument("input", metavar="TEXT", help="what the agent is asked")
    enqueue.add_argument(
        "--trigger", choices=_TRIGGERS, default="manual", help="what began it (default: %(default)s)"
    )
    enqueue.set_defaults(run=_enqueue_run)

    for command in (create, upload, complete, spans, enqueue):
        command.add_argument("--agent", metavar="AGENT", help=f"its id (default: ${_AGENT_VARIABLE})")
        command.add_argument(
            "--json", action="store_true", help=f"as a JSON {'array' if command is spans else 'object'}"
        )
        add_target_options(command)


def list_agent_runs(args: argparse.Namespace) -> int:
    """List the runs of the agent that ``--agent`` names."""
    with open_kate(args, readonly=True) as kate:
        found = ask(kate.runs.list(args.agent, limit=args.limit))
    return show(args, found, agent_runs_table)


def show_agent_run(args: argparse.Namespace) -> int:
    """Show a run of the agent that ``--agent`` names."""
    with open_kate(args, readonly=True) as kate:
        found = ask(kate.runs.get(args.agent, run_id=args.id))
    return show(args, found, _row)


def _create_run(args: argparse.Namespace) -> int:
    with open_kate(args) as kate:
        made = ask(kate.runs.create(_agent(args), args.trigger, args.run_id))
    return show(args, made, _row)


def _upload_spans(args: argparse.Namespace) -> int:
    spans = _read_spans(args.file)
    with open_kate(args) as kate:
        done = ask(kate.runs.upload_spans(_agent(args), run_id=args.id, spans=spans))
    return show(args, done, lambda done: f"{done.uploaded} span{'s' * (done.uploaded != 1)} added")


def _complete_run(args: argparse.Namespace) -> int:
    from ..pipeline.desks.tasks_agents import LocalKate

    agent, status = _agent(args), 0
    with open_kate(args) as kate:
        ended = ask(kate.runs.complete(agent, run_id=args.id))
        if isinstance(kate, LocalKate):
            status = _evaluate(kate, agent, ended.id)
            ended = ask(kate.runs.get(agent, run_id=args.id))
    show(args, ended, _row)
    return status


def _evaluate(kate: LocalKate, agent: str, run_id: str) -> int:
    """Evaluate a run of the store on this machine, and say what came of it; 1 where that failed."""
    try:
        with progress(f"evaluating run {run_id}") as say:
            why = kate.evals.evaluate(agent, run_id=run_id, on_step=say)
    except KaizenError as exc:
        print(safe_text(f"kaizen: the run is completed; its evaluation failed: {exc}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("the run is completed; the same command evaluates it", file=sys.stderr)
        raise
    done = f"evaluated; to see what was found wanting: kaizen agents summary {agent}"
    said = done if why is None else f"not evaluated: {why}"
    print(safe_text(said), file=sys.stderr)
    return 0


def _list_spans(args: argparse.Namespace) -> int:
    with open_kate(args, readonly=True) as kate:
        found = ask(kate.runs.spans(_agent(args), run_id=args.id))
    return show(args, found.spans, steps_table)


def _enqueue_run(args: argparse.Namespace) -> int:
    from ..pipeline.desks.tasks_agents import LocalKate

    agent = _agent(args)
    with open_kate(args) as kate:
        if isinstance(kate, LocalKate):
            raise UsageError("a server runs agents; name it: --server URL")
        begun = ask(kate.runs.enqueue(agent, args.trigger, user_input=args.input))
    return show(args, begun, lambda begun: plain(f"run {begun.run_id} is {begun.status}: job {begun.job_id}"))


def _agent(args: argparse.Namespace) -> str:
    agent: str | None = args.agent or os.environ.get(_AGENT_VARIABLE)
    if not agent:
        raise UsageError(f"no agent: give --agent, or set {_AGENT_VARIABLE} in the environment")
    return agent


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a UUID (found {text!r})") from None


def _row(run: Run) -> str:
    return agent_runs_table([run])


def _read_spans(path: Path) -> list[NewSpan]:
    from ..platforms import validation_text
    from ..platforms.kate import SpanUpload

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        return SpanUpload.model_validate({"spans": json.loads(text)}).spans
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot be read: {exc}", path=path) from None
    except ValidationError as exc:
        raise UsageError(validation_text(exc), path=path) from None
    except ValueError as exc:
        raise UsageError(f"not JSON: {exc}", path=path) from None
