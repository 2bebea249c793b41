"""Many trace files → batches of similar ones, by a plan that somebody else draws up."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PLACEHOLDER = re.compile(r"\{(traces_json|constraints)\}")

PROMPT = """\
Sort these traces of an LLM's work into batches of similar ones, so that each batch can be studied by itself.
Traces belong together when they ask for the same kind of thing, use the same tools or fail in the same way.

Traces:
{traces_json}

Rules:
{constraints}

Answer with JSON alone:
{"batches": {"NAME": {"description": "what its traces have in common", "trace_files": ["FILENAME"]}}}
"""


@dataclass(frozen=True)
class Bounds:
    """How many traces a batch may have.

    Attributes:
        least: At the least; where there are fewer traces than that, one batch of all will do.
        most: At the most.
    """

    least: int = 10
    most: int = 30

    def least_of(self, total: int) -> int:
        """Return how many a batch must have, where there are ``total``."""
        return min(self.least, total)

    def can_hold(self, total: int) -> bool:
        """Whether any plan keeps the bounds for so many traces."""
        least = self.least_of(total)
        return total == 0 or -(-total // self.most) <= total // least


def skeleton(total: int) -> dict[str, Any]:
    """Return a plan without batches."""
    return {"batches": {}, "summary": _summary(total, {})}


def classification_prompt(facts: Sequence[Mapping[str, Any]], bounds: Bounds, template: str = PROMPT) -> str:
    """Write the prompt that asks a model for a plan.

    Args:
        facts: What ``trace_facts`` says of each trace.
        bounds: How large a batch may be.
        template: The prompt; ``{traces_json}`` and ``{constraints}`` are filled in where they stand.
    """
    least = bounds.least_of(len(facts))
    filled = {
        "traces_json": json.dumps(list(facts), indent=1),
        "constraints": f"- every trace is in exactly one batch\n"
        f"- a batch has {least} to {bounds.most} traces\n"
        f"- a trace is named by its filename as given above",
    }
    return _PLACEHOLDER.sub(lambda match: filled[match[1]], template)


def violations(plan: Any, names: Iterable[str], bounds: Bounds) -> list[str]:
    """Say all that is wrong with a plan, a sentence each; none: it may be applied.

    Args:
        plan: What was read from the plan's file.
        names: The traces.
        bounds: How large a batch may be.
    """
    batches = plan.get("batches") if isinstance(plan, dict) else None
    if not isinstance(batches, dict):
        return ["the plan is no object with 'batches', an object of batches by name"]
    known = list(names)
    least, found = bounds.least_of(len(known)), []
    holders: dict[str, list[str]] = {}
    for batch, value in batches.items():
        files = value.get("trace_files") if isinstance(value, dict) else None
        if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
            found.append(f"batch '{batch}': 'trace_files' is no list of filenames")
            continue
        for name, times in Counter(files).items():
            holders.setdefault(name, []).append(batch)
            if times > 1:
                found.append(f"batch '{batch}': '{name}' is in it {times} times")
        if not least <= len(files) <= bounds.most:
            found.append(f"batch '{batch}': has {len(files)} traces (expected {least} to {bounds.most})")
    there = set(known)
    found += [
        f"'{name}' is no trace (in batch '{held[0]}')" for name, held in holders.items() if name not in there
    ]
    found += [
        f"'{name}' is in {_quoted(held)}" for name, held in holders.items() if len(held) > 1 and name in there
    ]
    found += [f"'{name}' is in no batch" for name in known if name not in holders]
    return found


def counted(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan without violations, with the summary counted anew."""
    sizes = {name: len(batch["trace_files"]) for name, batch in plan["batches"].items()}
    return {"batches": plan["batches"], "summary": _summary(sum(sizes.values()), sizes)}


def _summary(total: int, sizes: dict[str, int]) -> dict[str, Any]:
    return {"total_traces": total, "num_batches": len(sizes), "batch_sizes": sizes}


def _quoted(names: Sequence[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)
