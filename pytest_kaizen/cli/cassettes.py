"""``kaizen cassettes``: look after recorded calls."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from dataclasses import asdict

from pytest_kaizen.pipeline.recorded import CassetteCheck
from pytest_kaizen.report.plain import plain
from pytest_kaizen.store import Store

from .context import config_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    check = commands.add_parser(
        "check",
        help="list records that nothing uses, and those recorded under another prompt version",
        description="List records that the last run of their test did not use, cassettes without a test, and "
        "records made under another prompt version than the active one. Exits 1 if there are any.",
    )
    check.add_argument("--json", action="store_true", help="as a JSON array")
    check.set_defaults(run=_check)


def _check(args: argparse.Namespace) -> int:
    config = config_for(args)
    with ExitStack() as stack:
        store = (
            stack.enter_context(Store.open(config.store, readonly=True)) if config.store.exists() else None
        )
        check = CassetteCheck(config, store)
    findings = list(check.findings())
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
        return int(bool(findings))
    for finding in findings:
        place = finding.path if finding.exchange is None else f"{finding.path}: exchange {finding.exchange}"
        print(plain(f"{place} {finding.problem}"))
    files = f"{check.files} cassette{'s' * (check.files != 1)}"
    print(f"{files}: {len(findings)} to look at" if findings else f"{files}: nothing to look at")
    if findings:
        print("to record anew and drop what is not called: pytest --kaizen --kaizen-record=all")
    if check.files and not check.runs:
        print(
            "what is used is not known: no run in the store replayed or recorded; run pytest --kaizen first"
        )
    return int(bool(findings))
