"""``kaizen tasks``: the tasks that are known by their feedback."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from pytest_kaizen.errors import UsageError
from pytest_kaizen.models import Task
from pytest_kaizen.pipeline.desks.kaizen_ct import LocalCT
from pytest_kaizen.pipeline.feedback.scorer import check_evaluator
from pytest_kaizen.report.feedback import task_text, tasks_table
from pytest_kaizen.report.plain import plain

from .consent import agreed
from .platforms import open_ct, show
from .runs import add_list_options
from .target import add_target_options

_SETTINGS = (
    "description",
    "feedback_threshold",
    "feedback_source",
    "target_model",
    "judge_model",
    "evaluator_config",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    create = commands.add_parser("create", help="make a task, to log feedback about")
    create.add_argument("name", metavar="TASK", help="its name, as in prompts/ and kaizen.yaml")
    create.add_argument("--description", metavar="TEXT", help="what the task is, for the judge")
    create.add_argument(
        "--threshold",
        dest="feedback_threshold",
        type=int,
        metavar="N",
        help="entries of feedback that start a search, where kaizen.yaml's optimize allows it (default: 50)",
    )
    create.add_argument(
        "--feedback-source",
        choices=["sdk", "traces"],
        help="traces: the scores that traces get are feedback (default: sdk, what is logged is)",
    )
    create.add_argument("--model", dest="target_model", metavar="MODEL", help="who answers under its prompt")
    create.add_argument("--judge-model", metavar="MODEL", help="who judges (default: kaizen.yaml's)")
    create.add_argument(
        "--evaluator",
        dest="evaluator_config",
        type=_json_object,
        metavar="JSON",
        help='what scores answers: {"type": "judge"} (default), exact_match, custom_fn or composite',
    )
    create.add_argument("--json", action="store_true", help="as a JSON object")
    create.set_defaults(run=_create)

    listing = commands.add_parser("list", help="list tasks, the newest first")
    add_list_options(listing)
    listing.set_defaults(run=_list)

    show = commands.add_parser("show", help="show a task and how much feedback it has")
    show.add_argument("task", metavar="TASK", help="its name or id")
    show.add_argument("--json", action="store_true", help="as a JSON object")
    show.set_defaults(run=_show)

    delete = commands.add_parser(
        "delete",
        help="delete a task with its feedback; asks first where somebody can answer",
        description="Delete a task with its feedback; its traces and prompts stay. Asks first where somebody "
        "can answer.",
    )
    delete.add_argument("task", metavar="TASK", help="its name or id")
    delete.add_argument("--force", action="store_true", help="do not ask")
    delete.add_argument("--json", action="store_true", help="as a JSON object")
    delete.set_defaults(run=_delete)

    add_target_options(create, listing, show, delete)


def _create(args: argparse.Namespace) -> int:
    given = {name: value for name in _SETTINGS if (value := getattr(args, name)) is not None}
    # What counts towards the threshold has to be kept that long.
    kept: int = Task.model_fields["feedback_retention_limit"].default
    given["feedback_retention_limit"] = max(kept, given.get("feedback_threshold", 0))
    if "evaluator_config" in given:
        check_evaluator(given["evaluator_config"])
    try:
        task = Task(name=args.name, created_at=datetime.now(UTC), **given)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")) from None
    with open_ct(args) as ct:
        made = ct.add_task(task) if isinstance(ct, LocalCT) else ct.create_task(args.name, **given)
    return show(args, made, task_text)


def _list(args: argparse.Namespace) -> int:
    with open_ct(args, readonly=True) as ct:
        found = ct.list_tasks()
    return show(args, found[: args.limit], tasks_table)


def _show(args: argparse.Namespace) -> int:
    with open_ct(args, readonly=True) as ct:
        found = ct.get_task(args.task)
    return show(args, found, task_text)


def _delete(args: argparse.Namespace) -> int:
    if not args.force and not agreed(plain(f"delete task {args.task} and its feedback?")):
        print("nothing was deleted", file=sys.stderr)
        return 1
    with open_ct(args) as ct:
        ct.delete_task(args.task)
    return show(args, {"deleted": args.task}, lambda done: plain(f"deleted {done['deleted']}"))


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object (found {text!r})")
    return value
