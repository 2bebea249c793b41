"""``kaizen plan`` and ``judge``: what verdicts rest on, enough samples and a judge that people agree with."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..capture import Redactor
from ..errors import UsageError
from ..gate.draws import LIMIT, Spread, bar_draws, paired_cases, spread
from ..llm import AnthropicLLM
from ..models import BUDGET_METRICS
from ..pipeline import StoredAnswers
from ..pipeline.history import StoredScores, stored_scores
from ..pipeline.judge import calibrate
from ..prices import load_prices
from ..report.listing import calibration_text, calibrations_table
from ..report.text import plain
from ..score import Judge, load_rubric, read_labels
from ..store import Store
from .configuration import config_for
from .options import count


def declare_plan(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("--task", required=True, metavar="TASK", help="the task whose stored scores to go by")
    parser.add_argument(
        "--detect", required=True, type=_share, metavar="D", help="the difference to tell, for example 0.05"
    )
    parser.add_argument("--metric", default="score", metavar="NAME", help="the score (default: score)")
    parser.add_argument(
        "--confidence", type=_between(0.5), default=0.95, metavar="C", help="of the gate (default: 0.95)"
    )
    parser.add_argument(
        "--power",
        type=_share,
        default=0.8,
        metavar="P",
        help="the share of runs that must tell it (default: 0.8)",
    )
    parser.add_argument("--samples", type=count, default=1, metavar="N", help="samples a case (default: 1)")
    parser.add_argument("--json", action="store_true", help="as a JSON object")
    parser.set_defaults(run=_plan)


def _plan(args: argparse.Namespace) -> int:
    if args.metric in BUDGET_METRICS:
        raise UsageError(f"--metric: expected a score in [0, 1] (found the budget '{args.metric}')")
    with Store.open(config_for(args).store, readonly=True) as store:
        found = stored_scores(store, args.task, args.metric)
    parts = spread(found.cases)
    level = {"confidence": args.confidence, "power": args.power}
    try:
        draws = bar_draws(found.cases, args.detect, **level)
    except ValueError as exc:
        raise UsageError(f"--detect: {exc}") from None
    paired = None
    if parts.within is not None:
        paired = paired_cases(found.cases, args.detect, samples=args.samples, **level)
    facts = {
        "task": args.task,
        "metric": args.metric,
        "detect": args.detect,
        **level,
        "stored": {
            "runs": found.runs,
            "prompt_versions": list(found.prompts),
            "cases": len(found.cases),
            "samples": found.samples,
            "mean": parts.mean,
            "variance_between_cases": parts.between,
            "variance_within_cases": parts.within,
        },
        "per_sample": {"calls": found.calls_per_sample, "cost_usd": found.cost_per_sample},
        "bar": _need(found, None if draws is None else math.ceil(draws / args.samples), args.samples),
        "baseline": _need(found, paired, args.samples),
    }
    print(json.dumps(facts, indent=2) if args.json else plain("\n".join(_plan_lines(facts, found, parts))))
    return 0


def _need(found: StoredScores, cases: int | None, samples: int) -> dict[str, Any] | None:
    if cases is None:
        return None
    total = cases * samples
    cost = found.cost_per_sample
    return {
        "cases": cases,
        "samples_per_case": samples,
        "samples": total,
        "calls": math.ceil(total * found.calls_per_sample),
        "cost_usd": None if cost is None else total * cost,
    }


def _plan_lines(facts: dict[str, Any], found: StoredScores, parts: Spread) -> list[str]:
    within = "not known (no case has two samples)" if parts.within is None else f"{parts.within:.4f}"
    prompts = f" of prompt {', '.join(f'v{number}' for number in found.prompts)}" if found.prompts else ""
    lines = [
        f"{facts['task']}: {facts['metric']} {parts.mean:.2f} over {_many(len(found.cases), 'case')} and "
        f"{_many(found.samples, 'sample')} from {_many(len(found.runs), 'run')}{prompts}",
        f"variance: {parts.between:.4f} between cases, {within} within a case",
        f"to tell a difference of {facts['detect']:g} at confidence {facts['confidence']:g} "
        f"in {facts['power']:.0%} of runs:",
        f"  against a bar: {_need_text(facts['bar'])}",
    ]
    bar = facts["bar"]
    if bar is not None and bar["cases"] > len(found.cases):
        more = math.ceil(bar["samples"] / len(found.cases))
        lines.append(f"    or {_many(len(found.cases), 'case')} as now, {_many(more, 'sample')} each")
    if parts.within is None:
        cure = "run `pytest --kaizen` once more without changing anything"
        lines.append(f"  against a baseline: not known while no case has two samples; {cure}")
    else:
        lines.append(f"  against a baseline: {_need_text(facts['baseline'])}")
    return lines


def _need_text(need: dict[str, Any] | None) -> str:
    if need is None:
        return f"more than {LIMIT} samples; give a greater difference"
    cost = "cost not known" if need["cost_usd"] is None else f"${need['cost_usd']:.4f}"
    return (
        f"{_many(need['cases'], 'case')}, {_many(need['samples_per_case'], 'sample')} each: "
        f"{_many(need['calls'], 'call')}, {cost}"
    )


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _between(low: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low < value < 1:
            raise argparse.ArgumentTypeError(f"expected a number between {low:g} and 1 (found {text!r})")
        return value

    return parse


_share = _between(0)


def declare_judge(parser: argparse.ArgumentParser) -> None:
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
    listing.set_defaults(run=_list_calibrations)


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


def _list_calibrations(args: argparse.Namespace) -> int:
    with Store.open(config_for(args).store, readonly=True) as store:
        found = store.calibrations()
    if args.json:
        print(json.dumps([json.loads(calibration.model_dump_json()) for calibration in found], indent=2))
    else:
        print(calibrations_table(found))
    return 0
