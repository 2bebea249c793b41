"""``kaizen setup``: tell coding agents how a project is tested."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pytest_kaizen.errors import UsageError
from pytest_kaizen.pipeline.guide import SKILL_PATH, instructions, skill, with_instructions
from pytest_kaizen.report.plain import plain
from pytest_kaizen.wholefile import replace_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
        _say(f"{SKILL_PATH.as_posix()}: {_install(folder / SKILL_PATH)}")
    return 0


def _install(path: Path) -> str:
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
