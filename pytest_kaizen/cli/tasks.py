"""``kaizen tasks``: the tasks that are known by their feedback."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from pytest_kaizen.errors import UsageError
from pytest_kaizen.models import Task
from pytest_kaizen.pipeline.feedback.scorer import check_evaluator
from pytest_kaizen.platforms.kaizen_ct.task_wire import Task as WireTask
from pytest_kaizen.report.feedback import task_text, tasks_table
from pytest_kaizen.store import Store

from .context import config_for
from .runs import add_list_options

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
    with Store.open(config_for(args).store) as store:
        if not store.tasks.add(task):
            raise UsageError(f"a task '{task.name}' is there already: `kaizen tasks show {task.name}`")
        _print(store, task, as_json=args.json)
    return 0


def _list(args: argparse.Namespace) -> int:
    with Store.open(config_for(args).store, readonly=True) as store:
        found = [(task, store.feedback.count(task.id)) for task in store.tasks.newest(args.limit)]
    if args.json:
        print(json.dumps([WireTask.of(task, count).to_json() for task, count in found], indent=2))
    else:
        print(tasks_table(found))
    return 0


def _show(args: argparse.Namespace) -> int:
    with Store.open(config_for(args).store, readonly=True) as store:
        _print(store, find_task(store, args.task), as_json=args.json)
    return 0


def find_task(store: Store, id_or_name: str) -> Task:
    """Return a task.

    Raises:
        UsageError: There is none of that name or id.
    """
    task = store.tasks.find(id_or_name)
    if task is None:
        names = ", ".join(sorted(found.name for found in store.tasks.newest()))
        raise UsageError(f"no task '{id_or_name}' has feedback here (there are: {names or 'none'})")
    return task


def _print(store: Store, task: Task, *, as_json: bool) -> None:
    count = store.feedback.count(task.id)
    print(json.dumps(WireTask.of(task, count).to_json(), indent=2) if as_json else task_text(task, count))


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object (found {text!r})")
    return value
