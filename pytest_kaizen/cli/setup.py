"""``kaizen init``, ``setup`` and ``completion``: set up a project, its coding agents and a shell."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import UsageError
from ..files import replace_text
from ..pipeline.starter import (
    SKILL_PATH,
    FoundPrompt,
    Starter,
    find_prompts,
    instructions,
    skill,
    starter_files,
    task_name,
    with_instructions,
)
from ..report.text import plain
from . import GROUPS, build_parser
from .configuration import read_testpaths

_FIRST_TASK = "answer_question"

_SHELLS = ("bash", "zsh", "fish")
#: What an argument is, by how its help names it.
_FILES = ("FILE", "FILE.jsonl", "FILE.csv", "PATH", "PLAN")
_FOLDERS = ("DIR", "PROJECT")


def declare_init(parser: argparse.ArgumentParser) -> None:
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
        (written if _write_new(root, file) else kept).append(file.path.as_posix())
    if args.json:
        lines = [
            {"path": path.as_posix(), "line": line, "task": found.task}
            for found in prompts
            for path, line in found.places
        ]
        print(json.dumps({"root": str(root), "written": written, "kept": kept, "change": lines}, indent=2))
    else:
        print(plain("\n".join(_init_lines(written, kept, prompts))))
    return 0


def _init_lines(written: Sequence[str], kept: Sequence[str], prompts: Sequence[FoundPrompt]) -> list[str]:
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


def _write_new(root: Path, file: Starter) -> bool:
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


def declare_setup(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Print instructions for coding agents, or append them to a file, and write the skill that leads an "
        "agent from traces to a better prompt. A second call changes nothing."
    )
    parser.add_argument("--append-to", type=Path, metavar="FILE", help="for example AGENTS.md or CLAUDE.md")
    parser.add_argument(
        "--skills",
        action=argparse.BooleanOptionalAction,
        default=True,
        help=f"write {SKILL_PATH.as_posix()} (default: yes)",
    )
    parser.add_argument(
        "--project-dir", type=Path, metavar="DIR", help="the folder that it goes to (default: the project's)"
    )
    parser.set_defaults(run=_setup)


def _setup(args: argparse.Namespace) -> int:
    folder = args.project_dir or args.root
    if not folder.is_dir():
        raise UsageError(f"--project-dir: no such folder (found {str(folder)!r})")
    if args.append_to is None:
        print(instructions(), end="")
    else:
        old = _read(args.append_to)
        new = with_instructions(old or "")
        if new != old:
            _write(args.append_to, new)
        _say(f"{args.append_to}: {'nothing to change' if new == old else 'the instructions are in it'}")
    if args.skills:
        _say(f"{SKILL_PATH.as_posix()}: {_install_skill(folder / SKILL_PATH)}")
    return 0


def _install_skill(path: Path) -> str:
    old = _read(path)
    if old is None:
        _write(path, skill())
        return "written"
    # Somebody may have made it theirs.
    return "nothing to change" if old == skill() else "kept as it is, which is not as this release has it"


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot be read: {exc}", path=path) from None


def _write(path: Path, text: str) -> None:
    try:
        # A link stays one.
        replace_text(path.resolve(), text)
    except OSError as exc:
        raise UsageError(f"cannot be written: {exc.strerror}", path=path) from None


def _say(line: str) -> None:
    print(plain(line), file=sys.stderr)


def declare_completion(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Print a script that makes a shell complete kaizen's commands, options and files. "
        'bash: eval "$(kaizen completion bash)" in ~/.bashrc; zsh: kaizen completion zsh > a file _kaizen in '
        "a folder of $fpath; fish: kaizen completion fish > ~/.config/fish/completions/kaizen.fish"
    )
    parser.add_argument("shell", choices=_SHELLS, help="the shell")
    parser.set_defaults(run=_completion)


def _completion(args: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError:
        raise UsageError("completion needs an extra: pip install 'pytest-kaizen[cli]'") from None
    parser = build_parser([group.name for group in GROUPS])
    for action in _actions(parser):
        if action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    print(shtab.complete(parser, args.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in dict.fromkeys(action.choices.values()):
                yield from _actions(inner)
