"""The checks that a rubric can name."""

from __future__ import annotations

from .base import CheckModel
from .compare import Equals, Similarity
from .function import Python
from .structure import JsonPath, JsonSchema
from .text import Contains, MaxLength, NotContains, Regex

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
