"""What a search says before it begins and while it goes on."""

from __future__ import annotations

from ..optimize import Budget, CostEstimate, Event


def estimate_lines(task: str, estimate: CostEstimate, budget: Budget) -> list[str]:
    """Say what a search will cost, and warn if it has little to go by."""
    if estimate.usd is None:
        cost = "a cost that is not known (a model's price is missing)"
    else:
        cost = f"${estimate.usd[0]:.2f} to ${estimate.usd[1]:.2f}"
    cap = "" if budget.usd is None else f"; it stops at ${budget.usd:g}"
    lines = [f"{task}: {note}" for note in estimate.notes]
    lines.append(
        f"{task}: a search takes {_range(estimate.rollouts)} rollouts, {_range(estimate.calls)} calls to the "
        f"reflecting model, {cost}{cap}"
    )
    if not estimate.reasons:
        lines.append(
            f"{task}: warning: no score says why it is not higher; give checks a reason or use a rubric, "
            "or the search has nothing to go by"
        )
    return lines


def event_line(event: Event) -> str:
    """Say how far a search is, what it has used, and how good its best prompt is."""
    best = "" if event.best is None else f", score {event.best:.2f}"
    return f"{event.step} ({event.spend.rollouts} rollouts, ${event.spend.usd:.2f}{best})"


def _range(numbers: tuple[int, int]) -> str:
    low, high = numbers
    return f"{low}" if low == high else f"{low} to {high}"
