"""``kaizen optimize``: search for a better prompt, with the suite as the metric."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from pytest_kaizen.config import Config
from pytest_kaizen.errors import UsageError
from pytest_kaizen.models import Proposal, ProposalStatus
from pytest_kaizen.optimize import DEFAULT_ENGINE, ENGINES, CostEstimate, Event
from pytest_kaizen.pipeline.ci import ci_context
from pytest_kaizen.pipeline.improve import optimize_task
from pytest_kaizen.pipeline.proposals import (
    activate_proposal,
    open_proposal,
    proposal_path,
    write_proposal,
)
from pytest_kaizen.pipeline.pulls.pull_requests import PullRequests, why_no_search
from pytest_kaizen.pipeline.search import DEFAULT_BUDGET, Search, unfinished
from pytest_kaizen.pipeline.search_lines import dear_line, estimate_line, event_line
from pytest_kaizen.pipeline.suite import Launch
from pytest_kaizen.prompts import PromptLibrary
from pytest_kaizen.report.proposal import proposal_lines
from pytest_kaizen.report.text import safe_text
from pytest_kaizen.store import Store

from .context import config_for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument("task", metavar="TASK", help="the task whose active prompt is to be improved")
    parser.add_argument("--engine", choices=list(ENGINES), help=f"how to search (default: {DEFAULT_ENGINE})")
    parser.add_argument(
        "--budget-usd", type=_usd, metavar="X", help=f"spend no more (default: {DEFAULT_BUDGET.usd:g})"
    )
    parser.add_argument(
        "--max-rollouts",
        type=_count,
        metavar="N",
        help=f"run no more cases (default: {DEFAULT_BUDGET.rollouts})",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of all that is random (default: 0)")
    parser.add_argument("--dry-run", action="store_true", help="say what it would cost, from a small pilot")
    parser.add_argument("--yes", action="store_true", help="do not ask before a search that may cost much")
    parser.add_argument("--resume", action="store_true", help="go on with a search that was broken off")
    what_follows = parser.add_mutually_exclusive_group()
    what_follows.add_argument(
        "--activate", action="store_true", help="make it the active version, if it is proved to be better"
    )
    what_follows.add_argument(
        "--pr", action="store_true", help="open a pull request at GitHub, with the evidence (GITHUB_TOKEN)"
    )
    parser.add_argument("--dismiss", action="store_true", help="drop the open proposal before the search")
    parser.set_defaults(run=_optimize)


def _optimize(args: argparse.Namespace) -> int:
    config = config_for(args)
    why = why_no_search(ci_context(config.root, os.environ))
    if why is not None:
        raise UsageError(f"no search for a better prompt: {why}")
    pulls = PullRequests.of(config, os.environ) if args.pr else None
    with Store.open(config.store) as store:
        known = open_proposal(config, store, args.task)
        if known is not None and args.dismiss:
            store.save_proposal(known.model_copy(update={"status": ProposalStatus.DISMISSED}))
            known = None
        if known is not None:
            print(f"a proposal for this prompt is open (drop it: --dismiss): {proposal_path(config, known)}")
            return _finish(config, store, known, args.activate, pulls)
        if pulls is not None:
            taken = pulls.taken(args.task, PromptLibrary(config).get(args.task).sha256)
            if taken is not None:
                raise UsageError(taken)
        search = _search(args, config, store)

        def doubt(line: str) -> bool:
            print(safe_text(line), file=sys.stderr)
            return args.yes or _go_on()

        def tell(estimate: CostEstimate) -> bool:
            line = estimate_line(args.task, estimate, search.budget)
            print(safe_text(line), file=sys.stdout if args.dry_run else sys.stderr)
            dear = dear_line(args.task, estimate, search.budget)
            return not args.dry_run and (dear is None or doubt(dear))

        found = optimize_task(
            config,
            store,
            search,
            Launch(config.root),
            on_doubt=doubt,
            on_estimate=tell,
            on_event=_progress,
        )
        if found is None:
            return 0 if args.dry_run else 1
        if found.proposal is None:
            print(safe_text(f"{args.task}: {found.sentence}"))
            return 1
        write_proposal(config, found.proposal)
        return _finish(config, store, found.proposal, args.activate, pulls)


def _finish(
    config: Config, store: Store, proposal: Proposal, activate: bool, pulls: PullRequests | None
) -> int:
    """Show a proposal; activate it, or open its pull request, where that is asked for and allowed."""
    print("\n".join(proposal_lines(proposal)))
    path = proposal_path(config, proposal)
    if pulls is not None:
        proposal = pulls.propose(store, proposal)
        print(safe_text(f"evidence: {path}\n{proposal.task}: {proposal.pull_request_line}"))
        return 0 if proposal.status is ProposalStatus.PR_OPEN else 1
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
        given = [args.engine, args.budget_usd, args.max_rollouts, args.seed]
        if any(value is not None for value in given):
            raise UsageError("--resume goes on with the engine, the caps and the seed that the search had")
        return unfinished(config, store, args.task)
    return Search.of(
        config,
        args.task,
        engine=args.engine,
        budget_usd=args.budget_usd,
        max_rollouts=args.max_rollouts,
        seed=args.seed or 0,
    )


def _go_on() -> bool:
    """Ask, where there is somebody who can answer; elsewhere the caps have to do."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _progress(event: Event) -> None:
    # A log that nobody watches has no use for it.
    if sys.stderr.isatty():
        print(safe_text(event_line(event)), file=sys.stderr)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        _refuse("a whole number, 1 or more", text)
    return int(text)


def _usd(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        _refuse("an amount in US dollars above 0", text)
    return value


def _refuse(expected: str, found: str) -> NoReturn:
    raise argparse.ArgumentTypeError(f"expected {expected} (found {found!r})")
