"""The scales on which a judge answers, and their mapping to [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

#: Above this many steps nobody can tell two neighbours apart.
MAX_STEPS = 100


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
