"""Checks that compare an output with one expected value: ``equals`` and ``similarity``."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from .base import CheckModel, CheckResult, as_text, need_reference, passed, short


class Equals(CheckModel):
    """The output is the given value, or the case's reference.

    Two strings are compared without the white space at their ends. A string is compared with
    anything else as JSON text, so that the output ``"42"`` equals the value ``42``.
    """

    shorthand: ClassVar[str] = "value"

    value: Any = None
    reference: bool = False

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if (self.value is not None) == self.reference:
            raise ValueError("give either value or reference: true")
        return self

    @property
    def expected(self) -> str:
        """What the check looks for."""
        return "equals the reference" if self.reference else f"equals {short(self.value)}"

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002, ARG002
        """Score 1 when both are equal, else 0."""
        wanted = need_reference(reference) if self.reference else self.value
        if isinstance(output, str) or isinstance(wanted, str):
            equal = as_text(output).strip() == as_text(wanted).strip()
        else:
            equal = bool(output == wanted)
        return passed(equal, f"expected {short(wanted)}, found {short(output)}")


class Similarity(CheckModel):
    """How alike the output and a text (or the case's reference) are.

    The score is the ratio of ``difflib.SequenceMatcher``: twice the number of matching characters
    over the length of both texts; Ratcliff and Metzener, "Pattern matching: the gestalt approach"
    (1988). Its time grows with the product of the lengths.
    """

    shorthand: ClassVar[str] = "text"

    text: str | None = Field(default=None, min_length=1)
    reference: bool = False

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if (self.text is not None) == self.reference:
            raise ValueError("give either text or reference: true")
        return self

    @property
    def expected(self) -> str:
        """What the check looks for."""
        return "is like the reference" if self.reference else f"is like {short(self.text)}"

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002, ARG002
        """Score the ratio: 1 for equal texts, 0 for texts with nothing in common."""
        wanted = as_text(need_reference(reference) if self.reference else self.text)
        found = as_text(output)
        # The heuristic that ignores frequent characters makes ratios of longer texts meaningless.
        ratio = SequenceMatcher(None, wanted, found, autojunk=False).ratio()
        return CheckResult(ratio, f"{ratio:.0%} alike: expected {short(wanted)}, found {short(found)}")
