"""``kaizen runs … --agent``: the runs that programs report of an agent."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import ValidationError

from pytest_kaizen.errors import UsageError
from pytest_kaizen.report.kate import agent_runs_table, steps_table
from pytest_kaizen.report.plain import plain

from .platforms import ask, open_kate, show
from .target import add_target_options

if TYPE_CHECKING:
    # The name of what argparse returns is private.
    from argparse import _SubParsersAction

    from pytest_kaizen.platforms.kate.wire import NewSpan, Run

_TRIGGERS = ("manual", "automatic", "test")
_VARIABLE = "KATE_AGENT_ID"


def add_commands(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
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
    create.set_defaults(run=_create)

    upload = commands.add_parser("upload", help="add spans to a run of an agent")
    complete = commands.add_parser("complete", help="end a run of an agent, which a server then evaluates")
    complete.set_defaults(run=_complete)
    spans = commands.add_parser("spans", help="list the spans of a run of an agent, in their order")
    spans.set_defaults(run=_spans)
    for command in (upload, complete, spans):
        command.add_argument("id", metavar="RUN", help="its id")
    upload.add_argument(
        "file",
        metavar="FILE.json",
        type=Path,
        help="an array of spans, each with node_name, and span_kind, input_text, output_text, model, "
        "latency_ms, token_count, error where known; - for standard input",
    )
    upload.set_defaults(run=_upload)

    enqueue = commands.add_parser("enqueue", help="have a server run an agent that its operator declared")
    enqueue.add_argument("input", metavar="TEXT", help="what the agent is asked")
    enqueue.add_argument(
        "--trigger", choices=_TRIGGERS, default="manual", help="what began it (default: %(default)s)"
    )
    enqueue.set_defaults(run=_enqueue)

    for command in (create, upload, complete, spans, enqueue):
        command.add_argument("--agent", metavar="AGENT", help=f"its id (default: ${_VARIABLE})")
        command.add_argument(
            "--json", action="store_true", help=f"as a JSON {'array' if command is spans else 'object'}"
        )
        add_target_options(command)


def list_runs(args: argparse.Namespace) -> int:
    """List the runs of the agent that ``--agent`` names."""
    with open_kate(args, readonly=True) as kate:
        found = ask(kate.runs.list(args.agent, limit=args.limit))
    return show(args, found, agent_runs_table)


def show_run(args: argparse.Namespace) -> int:
    """Show a run of the agent that ``--agent`` names."""
    with open_kate(args, readonly=True) as kate:
        found = ask(kate.runs.get(args.agent, run_id=args.id))
    return show(args, found, _row)


def _create(args: argparse.Namespace) -> int:
    with open_kate(args) as kate:
        made = ask(kate.runs.create(_agent(args), args.trigger, args.run_id))
    return show(args, made, _row)


def _upload(args: argparse.Namespace) -> int:
    spans = _read(args.file)
    with open_kate(args) as kate:
        done = ask(kate.runs.upload_spans(_agent(args), run_id=args.id, spans=spans))
    return show(args, done, lambda done: f"{done.uploaded} span{'s' * (done.uploaded != 1)} added")


def _complete(args: argparse.Namespace) -> int:
    with open_kate(args) as kate:
        ended = ask(kate.runs.complete(_agent(args), run_id=args.id))
    return show(args, ended, _row)


def _spans(args: argparse.Namespace) -> int:
    with open_kate(args, readonly=True) as kate:
        found = ask(kate.runs.spans(_agent(args), run_id=args.id))
    return show(args, found.spans, steps_table)


def _enqueue(args: argparse.Namespace) -> int:
    from pytest_kaizen.pipeline.desks.kate import LocalKate

    agent = _agent(args)
    with open_kate(args) as kate:
        if isinstance(kate, LocalKate):
            raise UsageError("a server runs agents; name it: --server URL")
        begun = ask(kate.runs.enqueue(agent, args.trigger, user_input=args.input))
    return show(args, begun, lambda begun: plain(f"run {begun.run_id} is {begun.status}: job {begun.job_id}"))


def _agent(args: argparse.Namespace) -> str:
    agent: str | None = args.agent or os.environ.get(_VARIABLE)
    if not agent:
        raise UsageError(f"no agent: give --agent, or set {_VARIABLE} in the environment")
    return agent


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a UUID (found {text!r})") from None


def _row(run: Run) -> str:
    return agent_runs_table([run])


def _read(path: Path) -> list[NewSpan]:
    from pytest_kaizen.platforms.base.failure import validation_text
    from pytest_kaizen.platforms.kate.wire import SpanUpload

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        return SpanUpload.model_validate({"spans": json.loads(text)}).spans
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot be read: {exc}", path=path) from None
    except ValidationError as exc:
        raise UsageError(validation_text(exc), path=path) from None
    except ValueError as exc:
        raise UsageError(f"not JSON: {exc}", path=path) from None
