"""``kaizen init``: the first files of a project."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_kaizen.errors import UsageError
from pytest_kaizen.pipeline.starter import FoundPrompt, Starter, find_prompts, starter_files
from pytest_kaizen.pipeline.starter.found import task_name
from pytest_kaizen.report.plain import plain

from .ini import read_testpaths

_FIRST_TASK = "answer_question"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Write kaizen.yaml, a first prompt, rubric, test and CI workflow, which pass as they are. Prompts "
        "that stand in the code are offered to be moved out: their texts are written to files, and you are "
        "told which lines to change. No file that is there is touched."
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing: move prompts out, if there are any")
    parser.add_argument("--json", action="store_true", help="what was done, as a JSON object; needs --yes")
    parser.set_defaults(run=_init)


def _init(args: argparse.Namespace) -> int:
    if not args.yes and (args.json or not (sys.stdin.isatty() and sys.stderr.isatty())):
        raise UsageError("there is nobody to ask; to go on without questions: kaizen init --yes")
    root: Path = args.root
    prompts = find_prompts(root)
    if prompts and not args.yes and not _wanted(prompts):
        prompts = []
    tasks: dict[str, FoundPrompt | None] = {found.task: found for found in prompts}
    if not tasks:
        tasks = {_FIRST_TASK if args.yes else _first_task(): None}
    written: list[str] = []
    kept: list[str] = []
    for file in starter_files(root, _tests_folder(root), tasks):
        (written if _write(root, file) else kept).append(file.path.as_posix())
    if args.json:
        lines = [
            {"path": path.as_posix(), "line": line, "task": found.task}
            for found in prompts
            for path, line in found.places
        ]
        print(json.dumps({"root": str(root), "written": written, "kept": kept, "change": lines}, indent=2))
    else:
        print(plain("\n".join(_lines(written, kept, prompts))))
    return 0


def _lines(written: Sequence[str], kept: Sequence[str], prompts: Sequence[FoundPrompt]) -> list[str]:
    lines = [f"wrote {path}" for path in written]
    lines += [f"kept {path}, which was there" for path in kept]
    if prompts:
        lines += [
            "",
            "Your code is as it was. To have one text only, change these lines, so that the function",
        ]
        lines += [
            "is given the prompt: your program passes the file's text, a test kaizen.prompt(TASK).text:"
        ]
        lines += [
            f"  {path.as_posix()}:{line}: prompts/{found.task}/1.md"
            for found in prompts
            for path, line in found.places
        ]
    return [*lines, "", "now: pytest --kaizen"]


def _wanted(prompts: Sequence[FoundPrompt]) -> bool:
    print("Prompts in the code:", file=sys.stderr)
    for found in prompts:
        path, line = found.places[0]
        begin = " ".join(found.text.split())[:60]
        print(plain(f"  {path.as_posix()}:{line}  {found.task}  {begin}"), file=sys.stderr)
    return _ask("Write them to prompts/ (your code stays as it is)? [Y/n]").lower() in ("", "y", "yes")


def _first_task() -> str:
    given = _ask(f"What is the first task called, whose prompt is to be tested? [{_FIRST_TASK}]")
    return task_name(given) if given else _FIRST_TASK


def _ask(question: str) -> str:
    print(question, end=" ", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        # The end of the input is no answer.
        raise KeyboardInterrupt
    return line.strip()


def _tests_folder(root: Path) -> str:
    folders = (path for path in read_testpaths(root) if (root / path).is_dir())
    return next(folders, "tests")


def _write(root: Path, file: Starter) -> bool:
    path = root / file.path
    # A task that has versions needs no first one.
    if file.path.name == "1.md" and path.parent.is_dir() and any(path.parent.iterdir()):
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as new:
            new.write(file.text)
    except FileExistsError:
        return False
    except OSError as exc:
        raise UsageError(f"cannot be written: {exc.strerror}", path=path) from None
    return True
