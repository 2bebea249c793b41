"""``kaizen completion``: what makes a shell complete the commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from pytest_kaizen.errors import UsageError

from . import GROUPS, build_parser

_SHELLS = ("bash", "zsh", "fish")
#: What an argument is, by how its help names it.
_FILES = ("FILE", "FILE.jsonl", "FILE.csv", "PATH", "PLAN")
_FOLDERS = ("DIR", "PROJECT")


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
