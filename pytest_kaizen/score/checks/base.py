"""What every check shares: the protocol, its result, and how it sees outputs and references."""

from __future__ import annotations

import json
from typing import Any, ClassVar, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, model_validator

from ...errors import ScoreError

_SHORT = 80


class CheckResult(NamedTuple):
    """What a check found.

    Attributes:
        value: In [0, 1].
        reason: What was expected and what was there, in one short line.
    """

    value: float
    reason: str


class Check(Protocol):
    """A deterministic criterion, its argument already validated."""

    @property
    def expected(self) -> str:
        """What the check looks for, in a few words."""
        ...

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002
        """Look at one output.

        Raises:
            ScoreError: The check could not be carried out; the output is then neither good nor bad.
        """
        ...


class CheckModel(BaseModel, defer_build=True):
    """Base of the checks: an immutable model whose fields are the check's argument in the rubric.

    Attributes:
        shorthand: The field that an argument stands for which is not a mapping:
            ``contains: word`` is ``contains: {text: word}``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shorthand: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _from_shorthand(cls, value: Any) -> Any:
        return value if isinstance(value, dict | cls) else {cls.shorthand: value}


def as_text(value: Any) -> str:
    """Return what a text check and the judge read: a string as it is, anything else as JSON.

    What JSON does not know is written as ``str`` writes it.
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        return str(value)


def short(value: Any) -> str:
    """Quote a value for a reason, cut to one short line."""
    text = " ".join(as_text(value).split())
    return repr(text if len(text) <= _SHORT else text[: _SHORT - 1] + "…")


def need_reference(reference: Any) -> Any:
    """Return the case's reference.

    Raises:
        ScoreError: The case has none.
    """
    if reference is None:
        raise ScoreError("the case has no reference to compare with; give kaizen.case(reference=...)")
    return reference


def passed(ok: bool, reason: str) -> CheckResult:
    """Make the result of a check that knows only yes and no."""
    return CheckResult(1.0 if ok else 0.0, reason)
