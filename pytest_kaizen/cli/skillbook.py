"""``kaizen materialize``, ``prompts generate`` and ``prompts pull``: what becomes of insights."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PromptError
from ..report.text import plain, table
from .desks import open_desk, open_server_desk
from .options import Target, add_target_options

if TYPE_CHECKING:
    # The name of what argparse returns is private.
    from argparse import _SubParsersAction


def declare_skillbook_prompts(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the commands in the group ``prompts``."""
    generate = commands.add_parser(
        "generate",
        help="write the next version, with accepted insights as further rules",
        description="Write the active version of a task's prompt as its next version, with accepted "
        "insights as further rules. No model is asked.",
    )
    generate.add_argument(
        "--insights",
        metavar="ID",
        nargs="+",
        action="extend",
        help="with these (default: all that are accepted)",
    )
    generate.add_argument("--task", metavar="TASK", help="the task (default: that of the insights)")
    generate.add_argument("--label", metavar="LABEL", help="the new version's note")
    _add_output(generate)
    generate.add_argument("--json", action="store_true", help="as a JSON object")
    generate.set_defaults(run=_generate)

    pull = commands.add_parser("pull", help="print the text of a version")
    pull.add_argument("--id", metavar="TASK@N", help="the version (default: the active one)")
    pull.add_argument("--task", metavar="TASK", help="the task (default: the only one, else 'default')")
    _add_output(pull)
    pull.add_argument("--pretty", action="store_true", help="all that is known of it, as a JSON object")
    pull.set_defaults(run=_pull)

    add_target_options(generate, pull)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE", help="write it to a file instead")


def list_prompts_there(args: argparse.Namespace, target: Target) -> int:
    """List the prompts of a server."""
    with open_server_desk(target) as desk:
        prompts = desk.list_prompts(args.task)
    if args.json:
        print(json.dumps(prompts, indent=2))
    else:
        rows = [(prompt["id"], prompt["version"], prompt.get("label")) for prompt in prompts]
        print(table(("prompt", "version", "label"), rows) if rows else "no prompts yet")
    return 0


def _generate(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        answer, notes = desk.generate_prompt(args.insights, args.label, args.task)
    print(plain("\n".join(notes)), file=sys.stderr)
    _show_text(json.dumps(answer, indent=2) if args.json else answer["content"]["text"], args.output)
    return 0


def _pull(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        prompt = desk.get_prompt(args.id, args.task)
    _show_text(json.dumps(prompt, indent=2) if args.pretty else prompt["content"]["text"], args.output)
    return 0


def _show_text(text: str, output: Path | None) -> None:
    """Print a text, or write it; a terminal gets no escapes, a file or another program all as it is."""
    if output is None:
        print(plain(text) if sys.stdout.isatty() else text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as exc:
        raise PromptError(f"cannot be written: {exc}", path=output) from None


def declare_materialize(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("job", metavar="JOB", help="its id, the beginning of it, or 'last'")
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    add_target_options(parser)
    parser.set_defaults(run=_materialize)


def _materialize(args: argparse.Namespace) -> int:
    with open_desk(args) as desk:
        done = desk.materialize_job(args.job)
    count = done["skillsGenerated"]
    text = f"job {done['jobId']}: {count} insight{'s' * (count != 1)} in the skillbook"
    print(json.dumps(done, indent=2) if args.json else text)
    return 0
