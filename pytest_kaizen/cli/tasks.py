"""``kaizen tasks``: tasks that are known by what was thought of their answers."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..capture import Redactor
from ..errors import UsageError
from ..models import Task
from ..pipeline.desks.tasks_agents import LocalCT
from ..pipeline.feedback import check_evaluator
from ..platforms import validation_text
from ..platforms.kaizen_ct import SeedResult, TaskCreate
from ..report.platforms import task_text, tasks_table
from ..report.text import plain, safe_text
from .configuration import config_for
from .desks import open_ct, show
from .options import add_list_options, add_target_options, count, dollars, is_remote, secret_of
from .terminal import agreed

_SETTINGS = (
    "description",
    "schema_json",
    "feedback_threshold",
    "feedback_retention_limit",
    "feedback_source",
    "target_model",
    "teacher_model",
    "judge_model",
    "evaluator_config",
    "cost_budget",
)
#: How a server opens pull requests: what each is, and the values that it may have.
_PULLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mode": ("what follows a search (default: auto_pr)", ("optimize_only", "auto_pr", "pr_preview")),
    "git_provider": ("where the repository is", ("github", "gitlab", "bitbucket_server")),
    "git_base_url": ("the address of a git host of your own", ()),
    "git_project": ("the project, of GitLab or Bitbucket", ()),
    "git_repo": ("the repository: OWNER/NAME at GitHub", ()),
    "git_base_branch": ("the branch that pull requests are for", ()),
    "prompt_path": ("the file in it that holds the prompt", ()),
    "prompt_format": ("what that file is", ("json", "text", "yaml", "python")),
    "prompt_file": ("the source file in it that holds the prompt in a variable", ()),
    "prompt_locator": ("that variable", ()),
}


def declare_tasks(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    create = commands.add_parser("create", help="make a task, to log feedback about")
    _declare_create(create)

    seed = commands.add_parser(
        "seed",
        help="give a task examples, which its first search learns from",
        description="Give a task examples from a file with a JSON object on each line: inputs (an object), "
        "output (a text), score (0 to 1), metadata (an object); only inputs is required. They start no "
        "search. A line that is wrong is named and left out, and the exit status is 1.",
    )
    seed.add_argument("task", metavar="TASK", help="its name or id")
    seed.add_argument("file", metavar="FILE.jsonl", type=Path, help="the examples; - for standard input")
    seed.add_argument("--json", action="store_true", help="as a JSON object")
    seed.set_defaults(run=_seed_task)

    listing = commands.add_parser("list", help="list tasks, the newest first")
    add_list_options(listing)
    listing.set_defaults(run=_list_tasks)

    show = commands.add_parser("show", help="show a task and how much feedback it has")
    show.add_argument("task", metavar="TASK", help="its name or id")
    show.add_argument("--json", action="store_true", help="as a JSON object")
    show.set_defaults(run=_show_task)

    delete = commands.add_parser(
        "delete",
        help="delete a task with its feedback; asks first where somebody can answer",
        description="Delete a task with its feedback; its traces and prompts stay. Asks first where somebody "
        "can answer.",
    )
    delete.add_argument("task", metavar="TASK", help="its name or id")
    delete.add_argument("--force", action="store_true", help="do not ask")
    delete.add_argument("--json", action="store_true", help="as a JSON object")
    delete.set_defaults(run=_delete_task)

    add_target_options(create, seed, listing, show, delete)


def _declare_create(create: argparse.ArgumentParser) -> None:
    create.add_argument("name", metavar="TASK", help="its name, as in prompts/ and kaizen.yaml")
    create.add_argument("--description", metavar="TEXT", help="what the task is, for the judge")
    create.add_argument(
        "--schema",
        dest="schema_json",
        metavar="JSON",
        help="a JSON schema of its inputs, or a file with one: feedback has to have exactly its fields",
    )
    create.add_argument(
        "--threshold",
        dest="feedback_threshold",
        type=count,
        metavar="N",
        help="entries of feedback that start a search, where kaizen.yaml's optimize allows it (default: 50)",
    )
    create.add_argument(
        "--retention-limit",
        dest="feedback_retention_limit",
        type=count,
        metavar="N",
        help="entries of feedback that are kept (default: 1000, or the threshold where that is more)",
    )
    create.add_argument(
        "--feedback-source",
        choices=["sdk", "traces"],
        help="traces: the scores that traces get are feedback (default: sdk, what is logged is)",
    )
    create.add_argument("--model", dest="target_model", metavar="MODEL", help="who answers under its prompt")
    create.add_argument("--teacher-model", metavar="MODEL", help="who reflects in a search")
    create.add_argument("--judge-model", metavar="MODEL", help="who judges (default: kaizen.yaml's)")
    create.add_argument(
        "--evaluator",
        dest="evaluator_config",
        type=_json_object,
        metavar="JSON",
        help='what scores answers: {"type": "judge"} (default), exact_match, custom_fn or composite',
    )
    create.add_argument(
        "--budget-usd", dest="cost_budget", type=dollars, metavar="X", help="what a search may cost"
    )
    create.add_argument("--json", action="store_true", help="as a JSON object")
    pulls = create.add_argument_group("pull requests that a server opens")
    for name, (what, choices) in _PULLS.items():
        option = f"--{name.replace('_', '-')}"
        if choices:
            pulls.add_argument(option, choices=choices, help=what)
        else:
            pulls.add_argument(option, metavar="TEXT", help=what)
    pulls.add_argument(
        "--git-token",
        metavar="VARIABLE",
        help="the environment variable that holds the token for it; - asks for it, or reads it from a pipe",
    )
    create.set_defaults(run=_create_task)


def _create_task(args: argparse.Namespace) -> int:
    there = is_remote(args)
    names = [*_SETTINGS, *_PULLS]
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    for name in (*_PULLS, "git_token"):
        if not there and getattr(args, name) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')}: for a server, named by --server URL; on this machine "
                f"`kaizen optimize {args.name} --pr` opens the pull request"
            )
    if "schema_json" in given:
        given["schema_json"] = _schema(given["schema_json"])
    # What counts towards the threshold has to be kept that long.
    kept: int = Task.model_fields["feedback_retention_limit"].default
    given.setdefault("feedback_retention_limit", max(kept, given.get("feedback_threshold", 0)))
    if "evaluator_config" in given:
        check_evaluator(given["evaluator_config"])
    if args.git_token is not None:
        given["git_token_raw"] = secret_of("--git-token", args.git_token)
    try:
        task = TaskCreate(name=args.name, **given).to_task(datetime.now(UTC))
    except ValidationError as exc:
        raise UsageError(validation_text(exc)) from None
    with open_ct(args) as ct:
        made = ct.add_task(task) if isinstance(ct, LocalCT) else ct.create_task(args.name, **given)
    return show(args, made, task_text)


def _seed_task(args: argparse.Namespace) -> int:
    try:
        data = sys.stdin.buffer.read() if str(args.file) == "-" else args.file.read_bytes()
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot be read: {exc}", path=args.file) from None
    if not text.strip():
        raise UsageError("is empty; it has a JSON object on each line", path=args.file)
    with open_ct(args) as ct:
        if isinstance(ct, LocalCT):
            done = ct.seed_task(args.task, text, Redactor(os.environ, config_for(args).redact))
        else:
            done = ct.seed_task(args.task, text, args.file.name if args.file.name != "-" else "stdin.jsonl")
    show(args, done, lambda done: _seeded(args.task, done))
    for problem in done.errors:
        print(plain(f"kaizen: {args.file}: {problem}"), file=sys.stderr)
    return int(done.rejected > 0)


def _seeded(task: str, done: SeedResult) -> str:
    refused = f", {done.rejected} left out" if done.rejected else ""
    return safe_text(
        f"{task}: {done.accepted} example{'s' * (done.accepted != 1)} added{refused}; "
        f"it has {done.total_seeds} of {done.seed_limit} at most"
    )


def _list_tasks(args: argparse.Namespace) -> int:
    with open_ct(args, readonly=True) as ct:
        found = ct.list_tasks()
    return show(args, found[: args.limit], tasks_table)


def _show_task(args: argparse.Namespace) -> int:
    with open_ct(args, readonly=True) as ct:
        found = ct.get_task(args.task)
    return show(args, found, task_text)


def _delete_task(args: argparse.Namespace) -> int:
    if not args.force and not agreed(plain(f"delete task {args.task} and its feedback?")):
        print("nothing was deleted", file=sys.stderr)
        return 1
    with open_ct(args) as ct:
        ct.delete_task(args.task)
    return show(args, {"deleted": args.task}, lambda done: plain(f"deleted {done['deleted']}"))


def _schema(given: str) -> dict[str, Any]:
    """Return the JSON schema that was given, or that is in the file that was."""
    text = given
    if not given.lstrip().startswith("{"):
        try:
            text = Path(given).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise UsageError(f"--schema: neither a JSON object nor a file that can be read: {exc}") from None
    try:
        return _json_object(text)
    except argparse.ArgumentTypeError as exc:
        raise UsageError(f"--schema: {exc}") from None


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object (found {text[:80]!r})")
    return value
