"""Rubric files: what an output is judged by, and the scales on which a judge answers."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    create_model,
    model_validator,
)

from ..config import MAX_VOTES
from ..errors import RubricError
from ..files import YamlFile, read_yaml
from .check import Check
from .checks import CHECKS

#: Above this many steps nobody can tell two neighbours apart.
MAX_STEPS = 100

#: How far the sum of the weights may be from 1, so that thirds can be written as 0.333.
WEIGHT_TOLERANCE = 0.001


class Scale(Protocol):
    """How a judge answers one criterion."""

    @property
    def question(self) -> str:
        """What the judge is asked to answer with."""
        ...

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the answer: its type and every value it may have, worst first."""
        ...

    def to_unit(self, answer: Any) -> float:
        """Map an answer to [0, 1].

        Raises:
            ValueError: It is not one of the answers.
        """
        ...


@dataclass(frozen=True)
class YesNo:
    """Yes is 1, no is 0."""

    @property
    def question(self) -> str:
        """What the judge is asked to answer with."""
        return "yes or no"

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the answer."""
        return {"type": "string", "enum": ["no", "yes"]}

    def to_unit(self, answer: Any) -> float:
        """Map ``yes`` to 1 and ``no`` to 0."""
        if answer not in ("yes", "no"):
            raise ValueError(f"expected yes or no, got {answer!r}")
        return 1.0 if answer == "yes" else 0.0


@dataclass(frozen=True)
class IntegerScale:
    """Integers from ``low``, the worst, to ``high``, the best, mapped linearly to [0, 1]."""

    low: int
    high: int

    @property
    def question(self) -> str:
        """What the judge is asked to answer with."""
        return f"an integer from {self.low} (worst) to {self.high} (best)"

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the answer; values are listed, as structured output knows no bounds."""
        return {"type": "integer", "enum": list(range(self.low, self.high + 1))}

    def to_unit(self, answer: Any) -> float:
        """Map ``low`` to 0, ``high`` to 1 and what is between linearly."""
        # A JSON true is an int to Python, and no answer on this scale.
        if isinstance(answer, bool) or not isinstance(answer, int) or not self.low <= answer <= self.high:
            raise ValueError(f"expected an integer from {self.low} to {self.high}, got {answer!r}")
        return (answer - self.low) / (self.high - self.low)


def parse_scale(value: Any) -> Scale:
    """Make a scale from its form in a rubric: ``yes_no`` or ``[low, high]``.

    Raises:
        ValueError: It is neither.
    """
    if value == "yes_no":
        return YesNo()
    if (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(end, int) and not isinstance(end, bool) for end in value)
        and 0 < value[1] - value[0] <= MAX_STEPS
    ):
        return IntegerScale(low=value[0], high=value[1])
    found = f" (found {value!r})" if isinstance(value, list) else ""
    raise ValueError(
        f"expected yes_no or [low, high], two integers with low < high at most {MAX_STEPS} apart{found}"
    )


@dataclass(frozen=True)
class Criterion:
    """One thing an output is judged by.

    Attributes:
        description: What the judge reads; for a check, what reports print.
        weight: Its share of the rubric's total; the weights of a rubric sum to 1.
        scale: How the judge answers.
        check: The deterministic check; None for a criterion that a judge answers.
        critical: A prompt under which it falls is not taken for a better one.
    """

    name: str
    description: str
    weight: float
    scale: Scale
    check: Check | None
    critical: bool = False

    @property
    def expected(self) -> str:
        """What a good output has, for reports."""
        return self.description or (self.check.expected if self.check else "")


@dataclass(frozen=True)
class Rubric:
    """Weighted criteria under one name.

    Attributes:
        path: The file it was read from.
        sha256: Of what is judged, in hex: comments, order of keys and layout don't change it, nor
            do ``votes``, ``min_kappa`` and ``critical``.
        votes: How often each output is judged; None leaves it to ``judge.votes`` in ``kaizen.yaml``.
        min_kappa: How far a judge must agree with people to be asked at all; None asks any judge.
    """

    name: str
    description: str
    path: Path
    sha256: str
    criteria: tuple[Criterion, ...]
    votes: int | None = None
    min_kappa: float | None = None

    @property
    def judged(self) -> tuple[Criterion, ...]:
        """The criteria that a judge answers."""
        return tuple(criterion for criterion in self.criteria if criterion.check is None)

    @property
    def critical(self) -> tuple[str, ...]:
        """The names of the scores of the critical criteria."""
        return tuple(f"{self.name}.{criterion.name}" for criterion in self.criteria if criterion.critical)


def load_rubric(path: Path) -> Rubric:
    """Read and validate a rubric file.

    Raises:
        RubricError: With the file, the line, the key, the bad value and what is valid.
    """
    return parse_rubric(read_yaml(path, error=RubricError))


def parse_rubric(file: YamlFile) -> Rubric:
    """Validate a rubric that has been read; see ``load_rubric``."""
    document = file.parse(_RubricFile)
    _require_distinct_names(file, document)
    weights = _weights(file, document)
    criteria = tuple(
        _criterion(entry, weight) for entry, weight in zip(document.criteria, weights, strict=True)
    )
    if document.min_kappa is not None and all(criterion.check for criterion in criteria):
        raise file.fail("min_kappa: no criterion is judged by a model; remove it", ("min_kappa",))
    return Rubric(
        name=document.name,
        description=document.description,
        path=file.path,
        sha256=_sha256(file.data, criteria),
        criteria=criteria,
        votes=document.votes,
        min_kappa=document.min_kappa,
    )


def _is_a_mapping(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("expected a check with its argument, such as max_length: 300")  # noqa: TRY004
    return value


def _one_check(self: Any) -> Any:
    if len(self.model_fields_set) != 1:
        given = ", ".join(sorted(self.model_fields_set)) or "none"
        raise ValueError(f"give exactly one of {', '.join(sorted(CHECKS))} (found {given})")
    return self


# A field per registered check, so that a rubric's errors name the valid ones and their lines.
_CheckFile: type[BaseModel] = create_model(
    "_CheckFile",
    __config__=ConfigDict(frozen=True, extra="forbid"),
    __validators__={
        "is_a_mapping": model_validator(mode="before")(_is_a_mapping),
        "one_check": model_validator(mode="after")(_one_check),
    },
    **{name: (model, None) for name, model in CHECKS.items()},  # type: ignore[call-overload]
)


def _is_a_name(value: str) -> str:
    # Names become keys of the judge's schema and parts of metric names (summary.faithful).
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", value):
        raise ValueError("expected a name of letters, digits, _ and -, at most 64 long, no digit first")
    return value


_Name = Annotated[str, AfterValidator(_is_a_name)]


class _CriterionFile(BaseModel, defer_build=True):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: _Name
    description: str = ""
    weight: float | None = Field(default=None, gt=0, le=1)
    scale: Annotated[Any, BeforeValidator(parse_scale)] = YesNo()
    check: _CheckFile | None = None
    critical: bool = Field(default=False, strict=True)

    @model_validator(mode="after")
    def _judge_or_check(self) -> _CriterionFile:
        if self.check is None and not self.description.strip():
            raise ValueError(f"'{self.name}' needs a description for the judge, or a check")
        if self.check is not None and "scale" in self.model_fields_set:
            raise ValueError(f"'{self.name}' has a check, which has no scale; remove one of the two")
        return self


class _RubricFile(BaseModel, defer_build=True):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: _Name
    description: str = ""
    votes: int | None = Field(default=None, ge=1, le=MAX_VOTES)
    min_kappa: float | None = Field(default=None, gt=0, le=1)
    criteria: Annotated[list[_CriterionFile], Field(min_length=1)]


def _require_distinct_names(file: YamlFile, document: _RubricFile) -> None:
    first: dict[str, int] = {}
    for index, criterion in enumerate(document.criteria):
        if criterion.name in first:
            line = file.line(("criteria", first[criterion.name], "name"))
            raise file.fail(
                f"two criteria are named '{criterion.name}' (the first on line {line}); rename one",
                ("criteria", index, "name"),
            )
        first[criterion.name] = index


def _weights(file: YamlFile, document: _RubricFile) -> list[float]:
    """Return the weights, scaled to sum to exactly 1; equal ones when none is given."""
    given = [criterion.weight for criterion in document.criteria if criterion.weight is not None]
    count = len(document.criteria)
    if not given:
        return [1 / count] * count
    if len(given) < count:
        index = next(i for i, criterion in enumerate(document.criteria) if criterion.weight is None)
        raise file.fail(
            f"'{document.criteria[index].name}' has no weight, others have; give all criteria one or none",
            ("criteria", index),
        )
    total = math.fsum(given)
    # A last place more, because 0.333 three times misses 1 by 0.001 and a rounding error.
    if abs(total - 1) > WEIGHT_TOLERANCE + 1e-9:
        raise file.fail(f"the weights sum to {total:g}; they must sum to 1", ("criteria",))
    return [weight / total for weight in given]


def _criterion(entry: _CriterionFile, weight: float) -> Criterion:
    check: Check | None = None
    if entry.check is not None:
        (name,) = entry.check.model_fields_set
        check = getattr(entry.check, name)
    return Criterion(
        name=entry.name,
        description=" ".join(entry.description.split()),
        weight=weight,
        scale=entry.scale,
        check=check,
        critical=entry.critical,
    )


def _sha256(data: Any, criteria: Iterable[Criterion]) -> str:
    """Hash what the rubric says, with the defaults filled in."""
    entries = [
        {
            "name": c.name,
            "description": c.description,
            "weight": round(c.weight, 9),
            "scale": c.scale.schema,
        }
        | {"check": entry.get("check")}
        for c, entry in zip(criteria, data["criteria"], strict=True)
    ]
    canonical = {"name": data["name"], "description": data.get("description", ""), "criteria": entries}
    text = json.dumps(canonical, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
