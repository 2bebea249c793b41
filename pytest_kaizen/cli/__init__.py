"""The ``kaizen`` command.

Only what every command needs is imported here; a group's module is imported when the group is
named on the command line, so that ``kaizen --help`` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .. import __version__
from ..errors import KaizenError, UsageError

_PROJECT_FILES = (("kaizen.yaml",), ("pyproject.toml", "pytest.ini"))


class Group(NamedTuple):
    """A group of commands: ``kaizen NAME …``.

    Its module, which it may share with others, has ``declare_NAME(parser)``; each of its commands sets
    ``run``, a function that takes the parsed arguments and returns the exit status.
    """

    name: str
    help: str
    module: str


GROUPS = (
    Group("agents", "manage the programs of which runs are reported", ".agents"),
    Group("annotations", "say which traces show which behaviours, and look at it", ".observing"),
    Group("batch", "sort many trace files into batches of similar ones", ".trace_files"),
    Group("behaviors", "define what traces may show, in plain language", ".observing"),
    Group("cassettes", "look for recorded calls that are of no use any more", ".upkeep"),
    Group("completion", "print what makes a shell complete the commands", ".setup"),
    Group("doctor", "say what is installed, set and owed, for a look or a report", ".upkeep"),
    Group("exec", "run any program, and keep traces of its model calls", ".traces"),
    Group("experiments", "group traces, look at their figures", ".observing"),
    Group("feedback", "log what was thought of answers, and look at it", ".feedback"),
    Group("init", "write the first prompt, rubric, test and workflow of a project", ".setup"),
    Group("insights", "draw insights from traces, look at them, accept or reject them", ".insights"),
    Group("integrations", "import traces from MLflow, LangSmith and Braintrust", ".integrations"),
    Group("jobs", "look at the work in the background, wait for it, stop it", ".jobs"),
    Group("judge", "measure how far the judge agrees with people", ".verdicts"),
    Group("keys", "make, list and revoke the keys of a server", ".workspaces"),
    Group("materialize", "see to it that a job's insights are in the skillbook", ".skillbook"),
    Group("optimize", "search for a better prompt, with tests or feedback as the metric", ".optimize"),
    Group("plan", "say how many cases and samples a gate needs, and what they cost", ".verdicts"),
    Group("prompts", "write, compare, activate and lock prompt versions", ".prompts"),
    Group("run", "draw insights from traces, chosen from a list or named", ".insights"),
    Group("runs", "look at past runs, report and look at those of agents", ".traces"),
    Group("serve", "serve the store to a team over HTTP", ".serve"),
    Group("setup", "tell coding agents how the project is tested", ".setup"),
    Group("status", "say how a job stands", ".jobs"),
    Group("sync", "send what runs still owe to the platforms", ".upkeep"),
    Group("tasks", "manage the tasks that are known by their feedback", ".tasks"),
    Group("traces", "look at traces, put in and delete them", ".traces"),
    Group("upload", "put files in as traces", ".trace_files"),
    Group("worker", "do the jobs of a server's store, beside the servers", ".serve"),
    Group("workspaces", "list a server's workspaces, say how long they keep traces", ".workspaces"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The arguments after ``kaizen``; the process's own by default.

    Returns:
        The exit status: 0, 1 for an error, 2 for wrong usage, 130 when interrupted, 141 when
        whoever reads the output stopped reading.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    args = build_parser(arguments).parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Where the encoding lacks a character, an escape beats a traceback.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        args.root = _root(args.root)
        status: int = args.run(args)
        sys.stdout.flush()
    except KaizenError as exc:
        # What a server answered may be in it.
        from ..report.text import safe_text

        print(safe_text(f"kaizen: {exc}"), file=sys.stderr)
        return 2 if isinstance(exc, UsageError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The interpreter flushes stdout once more when it ends, which would fail again, loudly.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status


def build_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Declare the groups, and the commands of those that are named.

    Args:
        arguments: What was typed, or the names of groups.
    """
    parser = argparse.ArgumentParser(
        prog="kaizen",
        description="Prompts as tested artefacts: look at and manage what `pytest --kaizen` works with.",
    )
    parser.add_argument("--version", action="version", version=f"pytest-kaizen {__version__}")
    parser.add_argument(
        "--root",
        type=Path,
        metavar="FOLDER",
        help="the project's folder (default: the nearest one upward with a kaizen.yaml, else with a "
        "pyproject.toml or pytest.ini, else this one)",
    )
    groups = parser.add_subparsers(metavar="GROUP", required=True)
    for group in GROUPS:
        group_parser = groups.add_parser(group.name, help=group.help, description=group.help)
        if group.name in arguments:
            module = importlib.import_module(group.module, __name__)
            getattr(module, f"declare_{group.name}")(group_parser)
    return parser


def _root(given: Path | None) -> Path:
    if given is not None:
        if not given.is_dir():
            raise UsageError(f"--root: no such folder (found {str(given)!r})")
        return given.resolve()
    here = Path.cwd()
    for names in _PROJECT_FILES:
        for folder in (here, *here.parents):
            if any((folder / name).is_file() for name in names):
                return folder
    return here


__all__ = ["GROUPS", "Group", "build_parser", "main"]
