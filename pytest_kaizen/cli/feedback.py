"""``kaizen feedback``: what was thought of a task's answers."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..capture import Redactor
from ..config import Config
from ..errors import CTNotFoundError, KaizenError, UsageError
from ..models import FeedbackEntry, Job, Task
from ..pipeline.feedback.logged import check_inputs, log_feedback, start_if_due
from ..report.platforms import feedback_table
from ..report.text import safe_text
from ..store import Store
from .configuration import config_for
from .desks import ct_client, open_ct, show
from .options import Target, add_list_options, add_target_options, target_of

_ENTRY_FIELDS = ("inputs", "output", "score", "source", "metadata")


def declare_feedback(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    add = commands.add_parser(
        "add",
        help="log feedback about a task, which is made if it is new",
        description="Log one entry by the options, or many from a file with a JSON object on each line: "
        "inputs (an object), output (a text), score (0 to 1), source, metadata (an object), all optional. "
        "When the task's threshold is reached and kaizen.yaml's optimize is not 'never', a search for a "
        "better prompt follows.",
    )
    add.add_argument("--task", required=True, metavar="TASK", help="its name or id")
    add.add_argument("--inputs", metavar="JSON", help="what was given, by name")
    add.add_argument("--output", metavar="TEXT", help="what was answered")
    add.add_argument("--score", type=float, metavar="X", help="what was thought of it, 0 to 1")
    add.add_argument(
        "--source",
        metavar="LABEL",
        help="who says so, where a line of the file does not (default: sdk); seed for an example",
    )
    add.add_argument("--file", type=Path, metavar="FILE.jsonl", help="many entries; - for standard input")
    add.add_argument("--json", action="store_true", help="as a JSON object")
    add.set_defaults(run=_add_feedback)

    listing = commands.add_parser("list", help="list the feedback of a task, the newest first")
    listing.add_argument("--task", required=True, metavar="TASK", help="its name or id")
    add_list_options(listing)
    listing.set_defaults(run=_list_feedback)

    add_target_options(add, listing)


def _add_feedback(args: argparse.Namespace) -> int:
    target = target_of(args, "kaizen-ct")
    if target is not None:
        return _add_feedback_there(args, target)
    config = config_for(args)
    redactor = Redactor(os.environ, config.redact)
    with Store.open(config.store) as store:
        task = store.tasks.find(args.task) or Task(name=args.task, created_at=datetime.now(UTC))
        entries = list(_entries(args, task))
        if store.tasks.find(task.id) is None:
            store.tasks.add(task)
        for entry in entries:
            log_feedback(store, task, entry, redactor)
        count = store.feedback.count(task.id)
        _tell(args, task.name, len(entries), count.fresh, task.feedback_threshold)
        if count.fresh >= task.feedback_threshold:
            # Of a search there is no JSON.
            with redirect_stdout(sys.stderr) if args.json else nullcontext():
                _search(config, store, task)
    return 0


def _tell(args: argparse.Namespace, task: str, logged: int, fresh: int, threshold: int) -> None:
    said = {"task": task, "logged": logged, "fresh": fresh, "threshold": threshold}
    so_far = f"{logged} logged, {fresh} of {threshold} since the last search"
    show(args, said, lambda said: safe_text(f"{said['task']}: {so_far}"))


def _search(config: Config, store: Store, task: Task) -> None:
    """Start the search that enough feedback asks for; the feedback is stored, whatever comes of it."""
    # Not what a look at tasks and feedback should wait for.
    from ..pipeline.improve import open_proposal
    from ..pipeline.pulls.from_checkout import PullRequests
    from ..pipeline.search import Search
    from .optimize import run_search

    mode = config.optimize_mode(task.name)
    if mode == "never":
        print(f"enough for a search: `kaizen optimize {task.name}`")
        return
    try:
        if open_proposal(config, store, task.name) is not None:
            print(f"a proposal waits for a decision: `kaizen optimize {task.name}`")
            return
    except KaizenError as exc:
        print(f"kaizen: no search for a better prompt: {exc}", file=sys.stderr)
        return

    def start(job: Job) -> None:
        pulls = PullRequests.of(config, os.environ) if mode == "pr" else None
        run_search(config, store, Search.of_job(job), activate=mode == "activate", pulls=pulls, sure=True)

    search = Search.of(
        config, task.name, budget_usd=task.cost_budget, source="feedback", triggered_by="threshold"
    )
    start_if_due(store, task, search, start)


def _add_feedback_there(args: argparse.Namespace, target: Target) -> int:
    """Log feedback on a server, which starts searches by itself."""
    with ct_client(target) as ct:
        task = Task(name=args.task, created_at=datetime.now(UTC))
        entries = [entry.model_dump(include=set(_ENTRY_FIELDS)) for entry in _entries(args, task)]
        try:
            ct.get_task(args.task)
        except CTNotFoundError:
            ct.create_task(args.task)
        for entry in entries:
            ct.log_feedback(args.task, **entry)
        known = ct.get_task(args.task)
    fresh, _, threshold = known.threshold_progress.partition("/")
    _tell(args, known.name, len(entries), int(fresh), int(threshold))
    return 0


def _list_feedback(args: argparse.Namespace) -> int:
    with open_ct(args, readonly=True) as ct:
        found = ct.list_feedback(args.task, limit=args.limit)
    return show(args, found, feedback_table)


def _entries(args: argparse.Namespace, task: Task) -> Iterator[FeedbackEntry]:
    """Read all entries before the first is stored: a mistake in one leaves all out."""
    if args.file is None:
        options = {name: getattr(args, name, None) for name in _ENTRY_FIELDS}
        given = {name: value for name, value in options.items() if value is not None}
        if args.inputs is not None:
            given["inputs"] = _parsed(args.inputs, "--inputs")
        yield _entry(given, task, "feedback")
        return
    try:
        text = sys.stdin.read() if str(args.file) == "-" else args.file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot be read: {exc}", path=args.file) from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            place = f"{args.file}:{number}"
            given = _parsed(line, place)
            unknown = sorted(given.keys() - set(_ENTRY_FIELDS))
            if unknown:
                raise UsageError(f"{place}: unknown key '{unknown[0]}'; valid: {', '.join(_ENTRY_FIELDS)}")
            if args.source is not None:
                given.setdefault("source", args.source)
            yield _entry(given, task, place)


def _parsed(text: str, place: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise UsageError(f"{place}: not JSON: {exc}") from None
    if not isinstance(value, dict):
        raise UsageError(f"{place}: expected a JSON object (found {text[:80]!r})")
    return value


def _entry(given: dict[str, Any], task: Task, place: str) -> FeedbackEntry:
    try:
        entry = FeedbackEntry(task_id=task.id, created_at=datetime.now(UTC), **given)
    except ValidationError as exc:
        first = exc.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise UsageError(f"{place}: {name}: {first['msg']} (found {first['input']!r})") from None
    check_inputs(task, entry.inputs)
    return entry
