"""``kaizen optimize``: search for a better prompt, with the suite or logged feedback as the metric.

A server searches with the task's feedback, and keeps what it finds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import suppress
from typing import Any

from ..config import Config
from ..errors import LLMError, UsageError, WorkerError
from ..models import Proposal, ProposalStatus
from ..optimize import DEFAULT_ENGINE, ENGINES, CostEstimate
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
from .desks import ct_client, show
from .options import Target, add_target_options, count, dollars, target_flags, target_of
from .terminal import Shown, agreed

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
    parser.add_argument("--json", action="store_true", help="as a JSON object")
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
            path = proposal_path(config, known)
            _say(args.json, f"a proposal for this prompt is open (drop it: --dismiss): {path}")
            return _finish(config, store, known, args.activate, pulls, args.json)
        if pulls is not None:
            taken = pulls.taken(args.task, PromptLibrary(config).get(args.task).sha256)
            if taken is not None:
                raise UsageError(taken)
        search = _search(args, config, store)
        try:
            return run_search(
                config,
                store,
                search,
                dry_run=args.dry_run,
                activate=args.activate,
                pulls=pulls,
                sure=args.yes,
                as_json=args.json,
            )
        except (KeyboardInterrupt, LLMError, WorkerError):
            with suppress(UsageError):
                unfinished(config, store, args.task)
                go_on = f"to go on: kaizen optimize {args.task} --resume"
                print(safe_text(f"{args.task}: the search was broken off; {go_on}"), file=sys.stderr)
            raise


def run_search(
    config: Config,
    store: Store,
    search: Search,
    *,
    dry_run: bool = False,
    activate: bool = False,
    pulls: PullRequests | None = None,
    sure: bool = False,
    as_json: bool = False,
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
        as_json: Print what came of it as JSON, alone.

    Returns:
        The exit status: 0 with a proposal, 1 without.
    """
    shown = Shown()
    estimates: list[CostEstimate] = []

    def doubt(line: str) -> bool:
        shown.put_away()
        print(safe_text(line), file=sys.stderr)
        return sure or agreed("Go on?")

    def tell(estimate: CostEstimate) -> bool:
        shown.put_away()
        estimates.append(estimate)
        for line in estimate_lines(search.task, estimate, search.budget):
            _say(as_json or not dry_run, line)
        dear = dear_line(search.task, estimate, search.budget)
        return not dry_run and (dear is None or doubt(dear))

    measure = measure_for(config, store, search, Launch(config.root))
    with shown:
        shown(f"{search.task}: looking at the active prompt")
        found = optimize_task(
            config,
            store,
            search,
            measure,
            on_doubt=doubt,
            on_estimate=tell,
            on_event=lambda event: shown(event_line(event)),
        )
    if found is None:
        if as_json:
            known = _estimate_json(search, estimates[-1]) if dry_run and estimates else _nothing(search)
            print(json.dumps(known, indent=2))
        return 0 if dry_run else 1
    if found.proposal is None:
        if as_json:
            print(json.dumps({**_nothing(search), "sentence": found.sentence}, indent=2))
        else:
            print(safe_text(f"{search.task}: {found.sentence}"))
        return 1
    write_proposal(config, found.proposal)
    return _finish(config, store, found.proposal, activate, pulls, as_json)


def _estimate_json(search: Search, estimate: CostEstimate) -> dict[str, Any]:
    """What a search would take; each a range."""
    known = estimate._asdict()
    return {"task": search.task, **{key: known[key] for key in ("rollouts", "calls", "usd", "notes")}}


def _nothing(search: Search) -> dict[str, Any]:
    return {"task": search.task, "proposal": None, "sentence": "the search was not begun"}


def _finish(
    config: Config,
    store: Store,
    proposal: Proposal,
    activate: bool,
    pulls: PullRequests | None,
    as_json: bool,
) -> int:
    """Show a proposal; activate it, or open its pull request, where that is asked for and allowed."""
    path = proposal_path(config, proposal)
    _say(as_json, "\n".join(proposal_lines(proposal)))
    version = None
    status = 0
    if pulls is not None:
        proposal = pulls.propose(store, proposal)
        _say(as_json, f"evidence: {path}\n{proposal.task}: {proposal.pull_request_line}")
        status = 0 if proposal.status is ProposalStatus.PR_OPEN else 1
    elif not activate:
        new = f"  kaizen prompts new {proposal.task} --text {path.with_suffix('.txt')}"
        use = f"  kaizen prompts activate {proposal.task} N"
        _say(as_json, f"evidence: {path}\nto use it:\n{new}\n{use}")
    elif not proposal.may_activate:
        _say(as_json, "not activated: it is not proved to be better, so that is for a person to decide")
        status = 1
    else:
        version = activate_proposal(config, store, proposal)
        _say(as_json, f"{proposal.task}: version {version} is active")
    if as_json:
        sentence = proposal.acceptance.sentence
        found = {"task": proposal.task, "proposal": proposal.model_dump(mode="json"), "sentence": sentence}
        print(json.dumps({**found, "evidence": str(path), "activated": version}, indent=2))
    return status


def _say(aside: bool, text: str) -> None:
    """Print to the output, or beside it."""
    print(safe_text(text), file=sys.stderr if aside else sys.stdout)


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
    return show(args, begun, lambda begun: str(begun.job.id))
