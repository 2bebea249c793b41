"""Checks on an output that is JSON: ``json_schema`` and ``json_path``.

Both need the extra ``checks``. An output that is a string is parsed first; one that is not JSON
scores 0.
"""

from __future__ import annotations

import importlib
import json
from functools import cached_property
from types import ModuleType
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from .base import CheckModel, CheckResult, passed, short


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
