"""``kaizen judge``: measure the judge against people."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from pytest_kaizen.capture import Redactor
from pytest_kaizen.llm import AnthropicLLM
from pytest_kaizen.pipeline import StoredAnswers
from pytest_kaizen.pipeline.calibrate import calibrate
from pytest_kaizen.prices import load_prices
from pytest_kaizen.report.calibration import calibration_text, calibrations_table
from pytest_kaizen.score import Judge, load_rubric, read_labels
from pytest_kaizen.store import Store

from .context import config_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the commands of the group."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser(
        "calibrate",
        help="measure how far the judge agrees with people, and store it",
        description="Ask the judge about outputs that people have labelled, print how far the two agree, and "
        "store it. The CSV file has the columns input, output, perhaps reference, and one for each judged "
        "criterion (yes or no, or a value of its scale), or instead of these one named score (0 to 1).",
    )
    command.add_argument("labels", metavar="LABELS.CSV", type=Path)
    command.add_argument("--rubric", metavar="RUBRIC", type=Path, required=True, help="the rubric's file")
    command.add_argument("--model", metavar="MODEL", help="the judge's model (default: kaizen.yaml's)")
    command.add_argument("--json", action="store_true", help="as a JSON object")
    command.set_defaults(run=_calibrate)

    listing = commands.add_parser("list", help="list calibrations, the newest first")
    listing.add_argument("--json", action="store_true", help="as a JSON array")
    listing.set_defaults(run=_list)


def _calibrate(args: argparse.Namespace) -> int:
    config = config_for(args)
    settings = config.judge
    rubric = load_rubric(args.rubric if args.rubric.exists() else config.root / args.rubric)
    labelled = read_labels(args.labels, rubric)
    llm = AnthropicLLM(prices=load_prices(config.prices), timeout_s=settings.timeout_s)
    with Store.open(config.store) as store:
        try:
            judge = Judge(
                llm,
                args.model or settings.model,
                settings.max_tokens,
                votes=settings.votes,
                cache=StoredAnswers(store, Redactor(os.environ)) if config.judge_cache else None,
            )
            calibration = calibrate(rubric, labelled, judge, args.labels)
        finally:
            llm.close()
        store.save_calibration(calibration)
    print(calibration.model_dump_json(indent=2) if args.json else calibration_text(calibration))
    print(f"{llm.calls} calls, ${llm.spent_usd:.4f}; stored in {config.store}", file=sys.stderr)
    return 0


def _list(args: argparse.Namespace) -> int:
    with Store.open(config_for(args).store, readonly=True) as store:
        found = store.calibrations()
    if args.json:
        print(json.dumps([json.loads(calibration.model_dump_json()) for calibration in found], indent=2))
    else:
        print(calibrations_table(found))
    return 0
