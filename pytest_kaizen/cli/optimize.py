"""``kaizen optimize``: search for a better prompt, with the suite or logged feedback as the metric."""

from __future__ import annotations

import argparse
import sys

from pytest_kaizen.config import Config
from pytest_kaizen.errors import UsageError
from pytest_kaizen.models import Proposal, ProposalStatus
from pytest_kaizen.optimize import DEFAULT_ENGINE, ENGINES, Budget, CostEstimate, Event
from pytest_kaizen.pipeline.improve import open_proposal, optimize_task, unfinished
from pytest_kaizen.pipeline.measures import measure_for, source_of
from pytest_kaizen.pipeline.proposals import activate_proposal, proposal_path, write_proposal
from pytest_kaizen.pipeline.search import DEFAULT_BUDGET, Search
from pytest_kaizen.pipeline.search_lines import estimate_lines, event_line
from pytest_kaizen.pipeline.suite import Launch
from pytest_kaizen.report.proposal import proposal_lines
from pytest_kaizen.report.text import safe_text
from pytest_kaizen.store import Store

from .context import config_for
from .numbers import count, dollars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("task", metavar="TASK", help="the task whose active prompt is to be improved")
    parser.add_argument("--engine", choices=list(ENGINES), help=f"how to search (default: {DEFAULT_ENGINE})")
    parser.add_argument(
        "--budget-usd", type=dollars, metavar="X", help=f"spend no more (default: {DEFAULT_BUDGET.usd:g})"
    )
    parser.add_argument(
        "--max-rollouts",
        type=count,
        metavar="N",
        help=f"run no more cases (default: {DEFAULT_BUDGET.rollouts})",
    )
    parser.add_argument(
        "--from",
        dest="source",
        choices=["suite", "feedback"],
        help="measure candidates with the task's tests, or with its logged feedback (default: feedback where "
        "there is some and no run of tests)",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of all that is random (default: 0)")
    parser.add_argument("--dry-run", action="store_true", help="say what it would cost, from a small pilot")
    parser.add_argument("--resume", action="store_true", help="go on with a search that was broken off")
    parser.add_argument(
        "--activate", action="store_true", help="make it the active version, if it is proved to be better"
    )
    parser.add_argument("--dismiss", action="store_true", help="drop the open proposal before the search")
    parser.set_defaults(run=_optimize)


def _optimize(args: argparse.Namespace) -> int:
    config = config_for(args)
    with Store.open(config.store) as store:
        known = open_proposal(config, store, args.task)
        if known is not None and args.dismiss:
            store.save_proposal(known.model_copy(update={"status": ProposalStatus.DISMISSED}))
            known = None
        if known is not None:
            print(f"a proposal for this prompt is open (drop it: --dismiss): {proposal_path(config, known)}")
            return _finish(config, store, known, activate=args.activate)
        search = _search(args, config, store)
        return run_search(config, store, search, dry_run=args.dry_run, activate=args.activate)


def run_search(config: Config, store: Store, search: Search, *, dry_run: bool, activate: bool) -> int:
    """Search, show what came of it and write the evidence.

    Args:
        config: The project's settings.
        store: Its store.
        search: What is searched for.
        dry_run: Only say what it would cost.
        activate: Make what is proved to be better the active version.

    Returns:
        The exit status: 0 with a proposal, 1 without.
    """

    def tell(estimate: CostEstimate) -> bool:
        for line in estimate_lines(search.task, estimate, search.budget):
            print(safe_text(line), file=sys.stdout if dry_run else sys.stderr)
        return not dry_run

    measure = measure_for(config, store, search, Launch(config.root))
    found = optimize_task(config, store, search, measure, on_estimate=tell, on_event=_progress)
    if found is None:
        return 0
    if found.proposal is None:
        print(safe_text(f"{search.task}: {found.sentence}"))
        return 1
    write_proposal(config, found.proposal)
    return _finish(config, store, found.proposal, activate=activate)


def _finish(config: Config, store: Store, proposal: Proposal, *, activate: bool) -> int:
    """Show a proposal, and activate it where that is asked for and allowed."""
    print("\n".join(proposal_lines(proposal)))
    path = proposal_path(config, proposal)
    if not activate:
        print(f"evidence: {path}\nto use it:")
        print(f"  kaizen prompts new {proposal.task} --text {path.with_suffix('.txt')}")
        print(f"  kaizen prompts activate {proposal.task} N")
        return 0
    if not proposal.may_activate:
        print("not activated: it is not proved to be better, so that is for a person to decide")
        return 1
    print(f"{proposal.task}: version {activate_proposal(config, store, proposal)} is active")
    return 0


def _search(args: argparse.Namespace, config: Config, store: Store) -> Search:
    if args.resume:
        given = [args.engine, args.budget_usd, args.max_rollouts, args.seed, args.source]
        if any(value is not None for value in given):
            raise UsageError("--resume goes on with the engine, the caps and the seed that the search had")
        return unfinished(config, store, args.task)
    task = store.tasks.find(args.task)
    usual = DEFAULT_BUDGET.usd if task is None or task.cost_budget is None else task.cost_budget
    budget = Budget(
        usd=usual if args.budget_usd is None else args.budget_usd,
        rollouts=args.max_rollouts or DEFAULT_BUDGET.rollouts,
    )
    source = args.source or source_of(store, args.task)
    return Search(args.task, args.engine or DEFAULT_ENGINE, budget, args.seed or 0, source=source)


def _progress(event: Event) -> None:
    # A log that nobody watches has no use for it.
    if sys.stderr.isatty():
        print(safe_text(event_line(event)), file=sys.stderr)
