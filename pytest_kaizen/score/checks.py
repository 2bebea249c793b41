"""The checks that a rubric can name: on an output's text, against one expected value, and on its JSON.

``json_schema`` and ``json_path`` need the extra ``checks``. For them an output that is a string is
parsed first; one that is not JSON scores 0.
"""

from __future__ import annotations

import importlib
import json
import re
from difflib import SequenceMatcher
from functools import cached_property
from types import ModuleType
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from .check import CheckModel, CheckResult, Python, as_text, need_reference, passed, short


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


def _library(name: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ValueError(
            f"needs {package}, which is not installed: pip install 'pytest-kaizen[checks]'"
        ) from None


def _parse(output: Any) -> Any:
    return json.loads(output) if isinstance(output, str) else output


class JsonSchema(CheckModel):
    """The output follows a JSON schema, which is the check's whole argument."""

    document: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _from_shorthand(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("expected a JSON schema, as keys and values")  # noqa: TRY004 - pydantic's way
        jsonschema = _library("jsonschema", "jsonschema")
        try:
            jsonschema.validators.validator_for(value).check_schema(value)
        except jsonschema.SchemaError as exc:
            raise ValueError(f"not a valid JSON schema: {exc.message} at {exc.json_path}") from None
        return {"document": value}

    @cached_property
    def _validator(self) -> Any:
        jsonschema = _library("jsonschema", "jsonschema")
        # An empty registry: a $ref to a URL is an error of the check, never a download.
        registry = _library("referencing", "jsonschema").Registry()
        return jsonschema.validators.validator_for(self.document)(self.document, registry=registry)

    @property
    def expected(self) -> str:
        """What the check looks for."""
        return f"follows the JSON schema {short(self.document)}"

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002, ARG002
        """Score 1 when the output follows the schema, else 0 with the first violation."""
        try:
            value = _parse(output)
        except ValueError as exc:
            return passed(False, f"not JSON ({exc}): {short(output)}")
        violations = sorted(self._validator.iter_errors(value), key=lambda error: error.json_path)
        if violations:
            more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
            return passed(False, f"{violations[0].json_path}: {violations[0].message}{more}")
        return passed(True, "follows the schema")


class JsonPath(CheckModel):
    """A JSONPath (RFC 9535) finds something in the output and, with ``equals``, that value."""

    shorthand: ClassVar[str] = "path"

    path: str = Field(min_length=1)
    equals: Any = None

    @field_validator("path")
    @classmethod
    def _compiles(cls, value: str) -> str:
        jsonpath = _library("jsonpath", "python-jsonpath")
        try:
            jsonpath.compile(value)
        except jsonpath.JSONPathError as exc:
            raise ValueError(f"not a valid JSONPath: {str(exc).splitlines()[0]}") from None
        return value

    @cached_property
    def _compiled(self) -> Any:
        return _library("jsonpath", "python-jsonpath").compile(self.path)

    @property
    def _compares(self) -> bool:
        return "equals" in self.model_fields_set

    @property
    def expected(self) -> str:
        """What the check looks for."""
        return f"{self.path} is {short(self.equals)}" if self._compares else f"{self.path} is present"

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002, ARG002
        """Score 1 when the path finds a value (the wanted one), else 0."""
        try:
            value = _parse(output)
        except ValueError as exc:
            return passed(False, f"not JSON ({exc}): {short(output)}")
        # A JSONPath looks into objects and arrays; a bare number or word holds no members.
        found = self._compiled.findall(value) if isinstance(value, dict | list) else []
        if not found:
            return passed(False, f"{self.path} finds nothing in {short(output)}")
        if self._compares and self.equals not in found:
            return passed(False, f"{self.path}: expected {short(self.equals)}, found {short(found)}")
        return passed(True, f"{self.path}: found {short(found)}")


#: Every check, by its name in a rubric. A check's fields are the argument that it takes there.
CHECKS: dict[str, type[CheckModel]] = {
    "contains": Contains,
    "equals": Equals,
    "json_path": JsonPath,
    "json_schema": JsonSchema,
    "max_length": MaxLength,
    "not_contains": NotContains,
    "python": Python,
    "regex": Regex,
    "similarity": Similarity,
}
