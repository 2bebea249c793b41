"""``kaizen upload``, also ``kaizen traces upload``: files become traces."""

from __future__ import annotations

import argparse
import json
import sys

from pytest_kaizen.errors import UsageError
from pytest_kaizen.pipeline.trace_files import FILE_TYPES
from pytest_kaizen.report.insights import files_table
from pytest_kaizen.report.plain import plain

from .desk import open_desk
from .target import add_target_options
from .trace_inputs import read_inputs

HELP = "put files in as traces"
DESCRIPTION = (
    "Put files in as traces: files, folders with all that is in them, or '-' for standard input, which is "
    "read too where no path is given. The kind of a file is told by its ending, else it is txt."
)
#: Characters from which a file is called long.
_LONG = 350_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("paths", metavar="PATH", nargs="*", help="a file, a folder, or '-'")
    parser.add_argument("--type", choices=FILE_TYPES, help="of all the files")
    parser.add_argument("--task", metavar="TASK", help="the task that they are traces of")
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    add_target_options(parser)
    parser.set_defaults(run=_upload)


def _upload(args: argparse.Namespace) -> int:
    files = [found.file for found in read_inputs(args.paths or ["-"], args.type)]
    if not files:
        raise UsageError("no files there")
    for file in files:
        if len(file.content) > _LONG:
            size = f"{len(file.content):,} characters"
            print(plain(f"kaizen: warning: {file.filename} is long: {size}"), file=sys.stderr)
    with open_desk(args) as desk:
        done = desk.upload_traces(files, args.task)
    if args.json:
        print(json.dumps(done, indent=2))
    else:
        print(files_table(done["traces"]))
    return 0
