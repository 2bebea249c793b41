"""How things stand, as text: insights, jobs and files, and what ``kaizen doctor`` found.

Insights, jobs and files come as the JSON that the commands share with Kayba's API. Our store says
more of them than a server does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..models import Job
from .text import safe_text, table

_COLUMNS = "id", "status", "task", "section", "insight", "votes", "traces", "contradicts", "note"


def insights_table(insights: Sequence[dict[str, Any]]) -> str:
    """List insights, one a line."""
    if not insights:
        return "no insights"
    rows = [
        (
            insight["id"],
            insight["status"],
            insight.get("task"),
            insight.get("section"),
            insight["content"],
            insight.get("votes"),
            _size(insight.get("evidence")),
            ", ".join(insight.get("contradicts") or ()),
            insight.get("note"),
        )
        for insight in insights
    ]
    return safe_text(table(_COLUMNS, rows))


def jobs_table(jobs: Sequence[dict[str, Any]]) -> str:
    """List jobs, one a line."""
    if not jobs:
        return "no jobs"
    rows = [
        (
            job["jobId"],
            job.get("kind"),
            job.get("task"),
            job["status"],
            job.get("step") if job["status"] == "running" else job.get("error"),
            None if job.get("spend") is None else f"${job['spend']['usd']:.4f}",
            job.get("createdAt", "")[:19].replace("T", " "),
        )
        for job in jobs
    ]
    return safe_text(table(("job", "kind", "task", "status", "step", "spent", "created"), rows))


def job_text(job: dict[str, Any], *, here: bool = True) -> str:
    """Show how a job stands.

    Args:
        job: The job.
        here: It is one of the store on this machine, which a command can go on with.
    """
    ours, result = "kind" in job, job.get("result") or {}
    facts = {
        "job": job["jobId"],
        "kind": f"{job['kind']} for {job['task']}" if ours else None,
        "status": job["status"],
        "step": job.get("step") if job["status"] == "running" else None,
        "started": job.get("startedAt"),
        "ended": job.get("completedAt"),
        "spent": _spent(job["spend"]) if ours else None,
        "result": result.get("summary") or result.get("sentence"),
        "error": job.get("error"),
        "go on": _go_on(job) if here and job["status"] in ("failed", "stopped") else None,
    }
    return safe_text("\n".join(f"{name:7}  {value}" for name, value in facts.items() if value))


def files_table(traces: Sequence[dict[str, Any]]) -> str:
    """List traces as the files that they are, one a line."""
    if not traces:
        return "no traces"
    rows = [[trace[key] for key in ("id", "filename", "fileType", "size")] for trace in traces]
    return safe_text(table(("trace", "file", "type", "bytes"), rows))


def file_text(trace: dict[str, Any], *, meta: bool) -> str:
    """Show a trace as the file that it is; only what is known of it, where ``meta`` says so."""
    names = {"trace": "id", "file": "filename", "type": "fileType", "bytes": "size", "created": "uploadedAt"}
    facts = "\n".join(f"{name:7}  {trace.get(key)}" for name, key in names.items())
    return safe_text(facts if meta else f"{facts}\n\n{trace['content']}")


def _spent(spend: dict[str, Any]) -> str:
    rollouts = f", {_many(spend['rollouts'], 'rollout')}" if spend["rollouts"] else ""
    return f"${spend['usd']:.4f}, {_many(spend['calls'], 'call')}{rollouts}"


def _size(evidence: Any) -> int | None:
    return len(evidence) if isinstance(evidence, list) else None


def _go_on(job: dict[str, Any]) -> str | None:
    """Name the command that goes on with a job; None where it is asked for anew."""
    if job["kind"] == "insights":
        return f"kaizen run --resume {job['jobId']}"
    return f"kaizen optimize {job['task']} --resume" if job["kind"] == "optimize" else None


def study_lines(
    job_id: str,
    traces: int,
    held_out: int,
    calls: tuple[int, int],
    usd: tuple[float, float] | None,
    budget_usd: float,
) -> list[str]:
    """Say what drawing insights will cost, before it begins."""
    cost = "a cost that is not known (the model's price is missing)"
    if usd is not None:
        cost = f"${usd[0]:.2f} to ${usd[1]:.2f}"
    lines = [
        f"job {job_id}: {_many(traces, 'trace')}, {_range(calls)} calls, {cost}; it stops at ${budget_usd:g}"
    ]
    if held_out:
        lines.append(f"{_many(held_out, 'trace')} left out: held out to prove what `kaizen optimize` finds")
    return lines


def step_line(job: Job) -> str:
    """Say how far a job is and what it has used."""
    return f"{job.step} ({_many(job.spend.calls, 'call')}, ${job.spend.usd:.4f})"


def _range(numbers: tuple[int, int]) -> str:
    low, high = numbers
    return f"{low}" if low == high else f"{low} to {high}"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def checkup_text(found: Mapping[str, Any]) -> str:
    """Lay out what a check-up found, as far as it came."""
    lines = [f"{name} {version}" for name, version in found["versions"].items()]
    if "target" in found:
        store = found["store"]
        there = f"{store['bytes']:,} bytes" if store["exists"] else "not there yet; a run makes it"
        if "server" in found:
            there = f"key: {found['server']['key_from']}"
        lines += ["", f"commands work on {found['target']} ({there})"]
        lines += [
            f"owed to {each['backend']}: {each['owed']} (`kaizen sync`)"
            for each in found["owed"]
            if each["owed"]
        ] or ["nothing is owed to any platform"]
        settings = [(name, each["value"], each["from"]) for name, each in found["settings"].items()]
        lines += ["", table(("setting", "value", "from"), settings) if settings else "no setting is changed"]
        keys = [(name, "set" if is_set else "not set") for name, is_set in found["keys"].items()]
        lines += ["", table(("key", ""), keys)]
    extras = [
        (name, "yes" if each["installed"] else f"without {', '.join(each['missing'])}")
        for name, each in found["extras"].items()
    ]
    lines += ["", table(("extra", "installed"), extras)]
    for kind in ("warnings", "errors"):
        lines += [f"{kind.removesuffix('s')}: {sentence}" for sentence in found[kind]]
    return safe_text("\n".join(lines))
