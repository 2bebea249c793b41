"""``kaizen batch``: sort many trace files into batches of similar ones."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_kaizen.errors import UsageError
from pytest_kaizen.pipeline import batches
from pytest_kaizen.pipeline.trace_facts import trace_facts
from pytest_kaizen.pipeline.trace_files import NewFile
from pytest_kaizen.report.plain import plain
from pytest_kaizen.report.table import table
from pytest_kaizen.wholefile import replace_text

from .desk import open_desk
from .numbers import count
from .target import add_target_options
from .trace_inputs import Input, read_inputs

_PLAN = Path("batches.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
    bounds = batches.Bounds(args.min_batch_size, args.max_batch_size)
    if bounds.least > bounds.most:
        raise UsageError(f"--min-batch-size {bounds.least} is above --max-batch-size {bounds.most}")
    if args.upload and args.apply is None:
        raise UsageError("--upload needs --apply PLAN, which says what the batches are")
    if args.apply is not None and args.prompt is not None:
        raise UsageError("--prompt and --apply exclude each other")
    if "-" in args.paths:
        raise UsageError("standard input is a single trace; name files or folders")
    files = _named(list(read_inputs(args.paths)))
    if not files:
        raise UsageError("no files there")
    return _prepare(args, files, bounds) if args.apply is None else _apply(args, files, bounds)


def _named(inputs: Sequence[Input]) -> dict[str, NewFile]:
    """Name each file as shortly as tells it from the others: base name, path in the folder, path."""
    once = {found.path.resolve(): found for found in inputs}.values()
    bases = Counter(found.path.name for found in once)
    within = Counter(found.within for found in once)
    return {_name(found, bases, within): found.file for found in once}


def _name(found: Input, bases: Mapping[str, int], within: Mapping[str, int]) -> str:
    if bases[found.path.name] == 1:
        return found.path.name
    return found.within if within[found.within] == 1 else found.path.as_posix()


def _prepare(args: argparse.Namespace, files: Mapping[str, NewFile], bounds: batches.Bounds) -> int:
    output = args.output or _PLAN
    if output.exists() and _batches_of(_read_json(output)):
        raise UsageError(
            "holds batches already; --apply it, delete it or name another file: -o FILE", path=output
        )
    template = batches.PROMPT if args.prompt is None else _read(args.prompt)
    facts = [trace_facts(name, file) for name, file in files.items()]
    replace_text(output, json.dumps(batches.skeleton(len(files)), indent=2) + "\n")
    if not bounds.can_hold(len(files)):
        size = f"{bounds.least} to {bounds.most}"
        _say(
            f"kaizen: warning: {len(files)} traces cannot be parted into batches of {size}; change the bounds"
        )
    print(
        json.dumps(facts, indent=2) if args.json else batches.classification_prompt(facts, bounds, template)
    )
    _say(f"{len(files)} traces; fill in {output}, then: kaizen batch {' '.join(args.paths)} --apply {output}")
    return 0


def _apply(args: argparse.Namespace, files: Mapping[str, NewFile], bounds: batches.Bounds) -> int:
    plan = _read_json(args.apply)
    wrong = batches.violations(plan, files, bounds)
    if wrong:
        if args.json:
            print(json.dumps({"violations": wrong}, indent=2))
        for sentence in wrong:
            _say(f"kaizen: {args.apply}: {sentence}")
        return 1
    done: dict[str, Any] = {**batches.counted(plan), "violations": []}
    if args.output is not None:
        replace_text(args.output, json.dumps(batches.counted(plan), indent=2) + "\n")
    if args.upload:
        done["uploaded"] = _upload(args, done["batches"], files)
    if args.json:
        print(json.dumps(done, indent=2))
        return 0
    rows = [
        (name, len(batch["trace_files"]), batch.get("description")) for name, batch in done["batches"].items()
    ]
    print(table(("batch", "traces", "description"), rows))
    return 0


def _upload(
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
