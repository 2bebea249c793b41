"""Checks on the text of an output: ``contains``, ``not_contains``, ``regex``, ``max_length``."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from .base import CheckModel, CheckResult, as_text, need_reference, passed, short


def _as_list(value: Any) -> Any:
    if not isinstance(value, str | list | tuple):
        raise ValueError("expected a string or a list of strings")  # noqa: TRY004 - pydantic's way
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_list)]


class _Texts(CheckModel):
    """One or more texts to look for, or the case's reference (a string or a list of strings)."""

    shorthand: ClassVar[str] = "text"

    text: Texts = ()
    reference: bool = False
    ignore_case: bool = False

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if bool(self.text) == self.reference:
            raise ValueError("give either text (a string or a list of strings) or reference: true")
        return self

    def _wanted(self, reference: Any) -> list[str]:
        if not self.reference:
            return list(self.text)
        found = need_reference(reference)
        return [as_text(item) for item in (found if isinstance(found, list | tuple) else [found])]

    def _split(self, output: Any, reference: Any) -> tuple[list[str], list[str]]:
        """Return the texts that are in the output and those that are not."""
        fold = str.casefold if self.ignore_case else str
        text = fold(as_text(output))
        wanted = self._wanted(reference)
        found = [item for item in wanted if fold(item) in text]
        return found, [item for item in wanted if item not in found]

    @property
    def _named(self) -> str:
        names = "the reference" if self.reference else ", ".join(short(item) for item in self.text)
        return f"{names} (in any case)" if self.ignore_case else names


class Contains(_Texts):
    """All of the texts are in the output."""

    @property
    def expected(self) -> str:
        """What the check looks for."""
        return f"contains {self._named}"

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002, ARG002
        """Score 1 when every text is there, else 0."""
        found, missing = self._split(output, reference)
        if missing:
            return passed(False, f"{', '.join(map(short, missing))} not found in {short(output)}")
        return passed(True, f"found {', '.join(map(short, found))}")


class NotContains(_Texts):
    """None of the texts is in the output."""

    @property
    def expected(self) -> str:
        """What the check looks for."""
        return f"does not contain {self._named}"

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002, ARG002
        """Score 1 when no text is there, else 0."""
        found, missing = self._split(output, reference)
        if found:
            return passed(False, f"found {', '.join(map(short, found))} in {short(output)}")
        return passed(True, f"{', '.join(map(short, missing))} not found")


class Regex(CheckModel):
    """A regular expression of Python's ``re`` matches somewhere in the output."""

    shorthand: ClassVar[str] = "pattern"

    pattern: str = Field(min_length=1)
    ignore_case: bool = False

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as exc:
            raise ValueError(f"not a valid regular expression: {exc}") from None
        return value

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.IGNORECASE if self.ignore_case else 0)

    @property
    def expected(self) -> str:
        """What the check looks for."""
        return f"matches {short(self.pattern)}" + (" (in any case)" if self.ignore_case else "")

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002, ARG002
        """Score 1 when the pattern matches anywhere, else 0."""
        match = self._compiled.search(as_text(output))
        if match is None:
            return passed(False, f"{short(self.pattern)} does not match {short(output)}")
        return passed(True, f"{short(self.pattern)} matches {short(match[0])}")


class MaxLength(CheckModel):
    """The output has at most so many characters."""

    shorthand: ClassVar[str] = "limit"

    limit: int = Field(gt=0, strict=True)

    @property
    def expected(self) -> str:
        """What the check looks for."""
        return f"at most {self.limit} characters"

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002, ARG002
        """Score 1 when the output is short enough, else 0."""
        length = len(as_text(output))
        return passed(length <= self.limit, f"{length} characters, at most {self.limit} allowed")
