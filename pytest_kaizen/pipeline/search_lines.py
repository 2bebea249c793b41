"""What a search says before it begins and while it goes on."""

from __future__ import annotations

from ..optimize import Budget, CostEstimate, Event

#: US dollars above which people are asked, or warned, before a search begins or insights are drawn.
DEAR_USD = 1.0


def estimate_lines(task: str, estimate: CostEstimate, budget: Budget) -> list[str]:
    """Say what is to be known of the scores, and what a search will cost."""
    if estimate.usd is None:
        cost = "a cost that is not known (a model's price is missing)"
    else:
        cost = f"${estimate.usd[0]:.2f} to ${estimate.usd[1]:.2f}"
    cap = "" if budget.usd is None else f"; it stops at ${budget.usd:g}"
    return [
        *(f"{task}: {note}" for note in estimate.notes),
        f"{task}: a search takes {_range(estimate.rollouts)} rollouts, {_range(estimate.calls)} calls to the "
        f"reflecting model, {cost}{cap}",
    ]


def dear_line(task: str, estimate: CostEstimate, budget: Budget) -> str | None:
    """Warn about a search that may cost much; None for one that cannot."""
    if estimate.usd is None:
        return (
            f"{task}: warning: what this search costs is not known, and no cap in money covers its rollouts"
        )
    most = min(estimate.usd[1], estimate.usd[1] if budget.usd is None else budget.usd)
    return f"{task}: warning: this search may cost ${most:.2f}" if most > DEAR_USD else None


def dear_study_line(usd: tuple[float, float] | None, budget_usd: float) -> str | None:
    """Warn about insights that may cost much; None where they cannot."""
    most = budget_usd if usd is None else min(usd[1], budget_usd)
    return f"warning: this may cost ${most:.2f}" if most > DEAR_USD else None


def no_reasons_line(task: str) -> str:
    """Warn about scores that a search can learn nothing from."""
    return (
        f"{task}: warning: no score says why it is not higher; give checks a reason or use a rubric, "
        "or the search has nothing to go by"
    )


def event_line(event: Event) -> str:
    """Say how far a search is, what it has used, and how good its best prompt is."""
    best = "" if event.best is None else f", score {event.best:.2f}"
    return f"{event.step} ({event.spend.rollouts} rollouts, ${event.spend.usd:.2f}{best})"


def _range(numbers: tuple[int, int]) -> str:
    low, high = numbers
    return f"{low}" if low == high else f"{low} to {high}"
