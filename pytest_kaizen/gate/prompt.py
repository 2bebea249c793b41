"""Gates on the prompt version that a test really used."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..models import GateResult, Outcome, Scope

_VALID = "valid: ==3, !=2, >=2,<4, active, locked, sha256:<at least 8 hex digits>"
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CLAUSE = re.compile(r"\s*(==|!=|>=|<=|>|<)\s*([1-9][0-9]*)\s*")
_SHA256 = re.compile(r"sha256:([0-9a-f]{8,64})")
_SHOWN = 8


class VersionRequirement(NamedTuple):
    """Which prompt versions a test may use.

    Attributes:
        text: As the user wrote it.
        clauses: Comparisons of the version's number, all of which must hold.
        word: ``active`` or ``locked``.
        sha256: The start of the text's hash, in hex.

    Exactly one of the last three is given.
    """

    text: str
    clauses: tuple[tuple[str, int], ...] = ()
    word: str | None = None
    sha256: str | None = None

    def refuses(self, used: tuple[int, str], active: int | None, locked: Mapping[int, str]) -> str | None:
        """Say why a version is not what is required; empty when its number says it, None if it is."""
        version, sha256 = used
        if self.sha256 is not None:
            return None if sha256.startswith(self.sha256) else f"its text is {sha256[:_SHOWN]}"
        if self.word == "active":
            known = "no version is active" if active is None else f"v{active} is active"
            return None if version == active else known
        if self.word == "locked":
            if version not in locked:
                return "kaizen.lock does not have it"
            pinned = locked[version]
            if sha256 == pinned:
                return None
            return f"its text is {sha256[:_SHOWN]}, kaizen.lock has {pinned[:_SHOWN]}"
        return None if all(_COMPARISONS[sign](version, number) for sign, number in self.clauses) else ""


def parse_requirement(text: str) -> VersionRequirement:
    """Parse ``==3``, ``>=2,<4``, ``active``, ``locked`` or ``sha256:<hex>``.

    Raises:
        ValueError: Anything else, with what is valid.
    """
    bare = text.strip()
    if bare in ("active", "locked"):
        return VersionRequirement(bare, word=bare)
    if match := _SHA256.fullmatch(bare.lower()):
        return VersionRequirement(bare, sha256=match[1])
    clauses = []
    for clause in bare.split(","):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            raise ValueError(f"'{text}' is not a version requirement; {_VALID}")
        clauses.append((match[1], int(match[2])))
    return VersionRequirement(bare, clauses=tuple(clauses))


def prompt_gate(
    requirement: VersionRequirement,
    *,
    task: str,
    case_id: str,
    used: Sequence[tuple[int, str]],
    active: int | None,
    locked: Mapping[int, str],
    origin: str,
) -> GateResult:
    """Decide a gate on the prompt version.

    Args:
        requirement: What the test requires.
        task: The task whose prompt it is.
        case_id: pytest's node id.
        used: Version and SHA-256 of what the test fetched, one per fetch; without any the gate fails.
        active: The task's active version.
        locked: The hash of each version in ``kaizen.lock``.
        origin: Where the requirement stands.
    """
    name = f"prompt {task}"
    distinct = sorted(set(used))
    versions = list(dict.fromkeys(version for version, _ in distinct))
    refusals = [why for pair in distinct if (why := requirement.refuses(pair, active, locked)) is not None]
    if not used:
        sentence = f'{name} {requirement.text}: fail, the test never fetched it (kaizen.prompt("{task}"))'
    else:
        shown = ", ".join(f"v{version}" for version in versions)
        verdict = "fail" if refusals else "pass"
        why = f", {refusals[0]}" if refusals and refusals[0] else ""
        sentence = f"{name} {shown} {requirement.text}: {verdict}{why}"
    return GateResult(
        scope=Scope.CASE,
        task=task,
        case_id=case_id,
        name=name,
        figure=float(versions[0]) if len(versions) == 1 else None,
        bar=requirement.text,
        samples=len(used),
        outcome=Outcome.FAIL if refusals or not used else Outcome.PASS,
        sentence=sentence,
        origin=origin,
    )
