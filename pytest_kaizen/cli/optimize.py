"""``kaizen optimize``: search for a better prompt, with the suite or logged feedback as the metric.

A server searches with the task's feedback, and keeps what it finds.
"""

from __future__ import annotations

import argparse
import os
import sys

from ..config import Config
from ..errors import UsageError
from ..models import Proposal, ProposalStatus
from ..optimize import DEFAULT_ENGINE, ENGINES, CostEstimate, Event
from ..pipeline.improve import activate_proposal, open_proposal, optimize_task, proposal_path, write_proposal
from ..pipeline.measures import measure_for, source_of
from ..pipeline.provenance import ci_context
from ..pipeline.pulls.from_checkout import PullRequests
from ..pipeline.search import DEFAULT_BUDGET, Search, dear_line, estimate_lines, event_line, unfinished
from ..pipeline.suite import Launch
from ..pipeline.verdicts import why_no_search
from ..prompts import PromptLibrary
from ..report.documents import proposal_lines
from ..report.text import safe_text
from ..store import Store
from .configuration import config_for
from .desks import ct_client
from .options import Target, add_target_options, count, dollars, target_flags, target_of
from .terminal import agreed


def declare_optimize(parser: argparse.ArgumentParser) -> None:
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
    add_target_options(parser)
    parser.set_defaults(run=_optimize)


def _optimize(args: argparse.Namespace) -> int:
    target = target_of(args, "kaizen-ct")
    if target is not None:
        return _start_there(args, target)
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
        return run_search(
            config, store, search, dry_run=args.dry_run, activate=args.activate, pulls=pulls, sure=args.yes
        )


def run_search(
    config: Config,
    store: Store,
    search: Search,
    *,
    dry_run: bool = False,
    activate: bool = False,
    pulls: PullRequests | None = None,
    sure: bool = False,
) -> int:
    """Search, show what came of it and write the evidence.

    Args:
        config: The project's settings.
        store: Its store.
        search: What is searched for.
        dry_run: Only say what it would cost.
        activate: Make what is proved to be better the active version.
        pulls: Opens a pull request for what was found.
        sure: Do not ask before a search that may be in vain or cost much.

    Returns:
        The exit status: 0 with a proposal, 1 without.
    """

    def doubt(line: str) -> bool:
        print(safe_text(line), file=sys.stderr)
        return sure or agreed("Go on?")

    def tell(estimate: CostEstimate) -> bool:
        for line in estimate_lines(search.task, estimate, search.budget):
            print(safe_text(line), file=sys.stdout if dry_run else sys.stderr)
        dear = dear_line(search.task, estimate, search.budget)
        return not dry_run and (dear is None or doubt(dear))

    measure = measure_for(config, store, search, Launch(config.root))
    found = optimize_task(
        config, store, search, measure, on_doubt=doubt, on_estimate=tell, on_event=_progress
    )
    if found is None:
        return 0 if dry_run else 1
    if found.proposal is None:
        print(safe_text(f"{search.task}: {found.sentence}"))
        return 1
    write_proposal(config, found.proposal)
    return _finish(config, store, found.proposal, activate, pulls)


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
        given = [args.engine, args.budget_usd, args.max_rollouts, args.seed, args.source]
        if any(value is not None for value in given):
            raise UsageError("--resume goes on with the engine, the caps and the seed that the search had")
        return unfinished(config, store, args.task)
    logged = store.tasks.find(args.task)
    return Search.of(
        config,
        args.task,
        engine=args.engine,
        budget_usd=args.budget_usd or (logged.cost_budget if logged else None),
        max_rollouts=args.max_rollouts,
        seed=args.seed or 0,
        source=args.source or source_of(store, args.task),
    )


def _progress(event: Event) -> None:
    # A log that nobody watches has no use for it.
    if sys.stderr.isatty():
        print(safe_text(event_line(event)), file=sys.stderr)


#: What a request cannot ask for, by the options that ask for it.
_ONLY_HERE = (
    "engine",
    "budget_usd",
    "max_rollouts",
    "source",
    "seed",
    "dry_run",
    "resume",
    "activate",
    "pr",
    "dismiss",
)


def _start_there(args: argparse.Namespace, target: Target) -> int:
    """Start a search and print the id of its job; what it may cost goes to the error output.

    Raises:
        UsageError: An option was given that a request has no word for.
        PlatformError: The server does not start it.
    """
    for name in _ONLY_HERE:
        if getattr(args, name):
            option = "--from" if name == "source" else f"--{name.replace('_', '-')}"
            raise UsageError(f"{option}: a server searches as its task and its kaizen.yaml say")
    with ct_client(target) as client:
        begun = client.trigger_optimization(args.task)
    cost = begun.cost_estimate
    lines = [
        f"{args.task}: up to {cost.estimated_llm_calls} calls, ${cost.estimated_cost_usd:.2f}",
        *([begun.budget_warning] if begun.budget_warning else []),
        f"to wait for it: kaizen jobs wait {begun.job.id}{target_flags(args)}",
    ]
    print(safe_text("\n".join(lines)), file=sys.stderr)
    print(begun.job.id)
    return 0
