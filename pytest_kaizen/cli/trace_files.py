"""``kaizen upload`` and ``batch``: files become traces, many of them in batches of similar ones."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UsageError
from ..files import replace_text
from ..pipeline import trace_files
from ..pipeline.trace_files import FILE_TYPES, FileType, NewFile, file_type_of, trace_facts
from ..report.status import files_table
from ..report.text import plain, table
from .desks import open_desk
from .options import add_target_options, count

UPLOAD_HELP = "put files in as traces"
UPLOAD_DESCRIPTION = (
    "Put files in as traces: files, folders with all that is in them, or '-' for standard input, which is "
    "read too where no path is given. The kind of a file is told by its ending, else it is txt."
)
#: Characters from which a file is called long.
_LONG = 350_000

_PLAN = Path("batches.json")


def declare_upload(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("paths", metavar="PATH", nargs="*", help="a file, a folder, or '-'")
    parser.add_argument("--type", choices=FILE_TYPES, help="of all the files")
    parser.add_argument("--task", metavar="TASK", help="the task that they are traces of")
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    add_target_options(parser)
    parser.set_defaults(run=_upload)


def _upload(args: argparse.Namespace) -> int:
    files = [found.file for found in _read_inputs(args.paths or ["-"], args.type)]
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


def declare_batch(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.description = (
        "Sort trace files into batches. Without --apply: write an empty plan, and print a prompt that asks a "
        "model, or a coding agent, to fill it in. With --apply: see whether a plan has every trace in "
        "exactly one batch of the right size; exits 1 and says each thing that is wrong, if not."
    )
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a file, or a folder with all that is in it")
    parser.add_argument(
        "--prompt",
        type=Path,
        metavar="FILE",
        help="a prompt of your own, with {traces_json} and {constraints}",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help=f"where the empty plan goes (default: {_PLAN}); with --apply, the plan with its sizes counted",
    )
    parser.add_argument(
        "--apply", type=Path, metavar="PLAN", help="check this plan instead of asking for one"
    )
    parser.add_argument("--upload", action="store_true", help="put the traces of the plan in, batch by batch")
    for name, default, what in (("min", 10, "least"), ("max", 30, "most")):
        text = f"traces in a batch at the {what} (default: {default})"
        parser.add_argument(f"--{name}-batch-size", type=count, default=default, metavar="N", help=text)
    parser.add_argument(
        "--json", action="store_true", help="what was found about the traces or the plan, as JSON"
    )
    add_target_options(parser)
    parser.set_defaults(run=_batch)


def _batch(args: argparse.Namespace) -> int:
    bounds = trace_files.BatchBounds(args.min_batch_size, args.max_batch_size)
    if bounds.least > bounds.most:
        raise UsageError(f"--min-batch-size {bounds.least} is above --max-batch-size {bounds.most}")
    if args.upload and args.apply is None:
        raise UsageError("--upload needs --apply PLAN, which says what the batches are")
    if args.apply is not None and args.prompt is not None:
        raise UsageError("--prompt and --apply exclude each other")
    if "-" in args.paths:
        raise UsageError("standard input is a single trace; name files or folders")
    files = _named(list(_read_inputs(args.paths)))
    if not files:
        raise UsageError("no files there")
    return _prepare_plan(args, files, bounds) if args.apply is None else _apply_plan(args, files, bounds)


def _named(inputs: Sequence[_Input]) -> dict[str, NewFile]:
    """Name each file as shortly as tells it from the others: base name, path in the folder, path."""
    once = {found.path.resolve(): found for found in inputs}.values()
    bases = Counter(found.path.name for found in once)
    within = Counter(found.within for found in once)
    return {_name(found, bases, within): found.file for found in once}


def _name(found: _Input, bases: Mapping[str, int], within: Mapping[str, int]) -> str:
    if bases[found.path.name] == 1:
        return found.path.name
    return found.within if within[found.within] == 1 else found.path.as_posix()


def _prepare_plan(
    args: argparse.Namespace, files: Mapping[str, NewFile], bounds: trace_files.BatchBounds
) -> int:
    output = args.output or _PLAN
    if output.exists() and _batches_of(_read_json(output)):
        raise UsageError(
            "holds batches already; --apply it, delete it or name another file: -o FILE", path=output
        )
    template = trace_files.BATCH_PROMPT if args.prompt is None else _read(args.prompt)
    facts = [trace_facts(name, file) for name, file in files.items()]
    replace_text(output, json.dumps(trace_files.empty_plan(len(files)), indent=2) + "\n")
    if not bounds.can_hold(len(files)):
        size = f"{bounds.least} to {bounds.most}"
        _say(
            f"kaizen: warning: {len(files)} traces cannot be parted into batches of {size}; change the bounds"
        )
    print(
        json.dumps(facts, indent=2)
        if args.json
        else trace_files.classification_prompt(facts, bounds, template)
    )
    _say(f"{len(files)} traces; fill in {output}, then: kaizen batch {' '.join(args.paths)} --apply {output}")
    return 0


def _apply_plan(
    args: argparse.Namespace, files: Mapping[str, NewFile], bounds: trace_files.BatchBounds
) -> int:
    plan = _read_json(args.apply)
    wrong = trace_files.plan_violations(plan, files, bounds)
    if wrong:
        if args.json:
            print(json.dumps({"violations": wrong}, indent=2))
        for sentence in wrong:
            _say(f"kaizen: {args.apply}: {sentence}")
        return 1
    done: dict[str, Any] = {**trace_files.counted_plan(plan), "violations": []}
    if args.output is not None:
        replace_text(args.output, json.dumps(trace_files.counted_plan(plan), indent=2) + "\n")
    if args.upload:
        done["uploaded"] = _upload_plan(args, done["batches"], files)
    if args.json:
        print(json.dumps(done, indent=2))
        return 0
    rows = [
        (name, len(batch["trace_files"]), batch.get("description")) for name, batch in done["batches"].items()
    ]
    print(table(("batch", "traces", "description"), rows))
    return 0


def _upload_plan(
    args: argparse.Namespace, plan: Mapping[str, Any], files: Mapping[str, NewFile]
) -> dict[str, list[str]]:
    uploaded = {}
    with open_desk(args) as desk:
        for batch, value in plan.items():
            # Under the name in the plan, which tells it from a file of the same base name.
            chosen = [files[name]._replace(filename=name) for name in value["trace_files"]]
            uploaded[batch] = [trace["id"] for trace in desk.upload_traces(chosen)["traces"]]
            _say(f"{batch}: {len(chosen)} uploaded")
    return uploaded


def _batches_of(plan: Any) -> bool:
    return not isinstance(plan, dict) or bool(plan.get("batches"))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(_read(path))
    except ValueError as exc:
        raise UsageError(f"is not JSON: {exc}", path=path) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot be read: {exc}", path=path) from None


def _say(line: str) -> None:
    print(plain(line), file=sys.stderr)


class _Input(NamedTuple):
    """A file that was named, or lies in a folder that was.

    Attributes:
        path: Where it is; ``-`` for standard input.
        within: Its path within that folder, with ``/``; its base name where it was named itself.
        file: What is in it.
    """

    path: Path
    within: str
    file: NewFile


def _read_inputs(paths: Sequence[str], kind: FileType | None = None) -> Iterator[_Input]:
    """Read files, folders with all that is in them, and ``-`` for standard input.

    What is hidden in a folder is passed over; what cannot be read there is left out, with a warning.

    Args:
        paths: What was named.
        kind: Of all the files; None: by their endings.

    Raises:
        UsageError: A file that was named cannot be read.
    """
    for given in paths:
        path = Path(given)
        if given == "-":
            # Bytes that are no text must not break off what else is read.
            text = sys.stdin.buffer.read().decode("utf-8", "replace")
            yield _Input(path, "stdin.txt", NewFile("stdin.txt", text, kind or "txt"))
        elif path.is_dir():
            for inside in sorted(found for found in path.rglob("*") if _is_visible(found, path)):
                try:
                    yield _Input(inside, inside.relative_to(path).as_posix(), _read_input(inside, kind))
                except UsageError as exc:
                    print(plain(f"kaizen: left out: {exc}"), file=sys.stderr)
        else:
            yield _Input(path, path.name, _read_input(path, kind))


def _is_visible(path: Path, folder: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _read_input(path: Path, kind: FileType | None) -> NewFile:
    try:
        # Not read_text, which changes the ends of lines.
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot be read: {exc}", path=path) from None
    return NewFile(path.name, text, kind or file_type_of(path.name))
