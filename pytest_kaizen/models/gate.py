"""Gates: rules on scores, versions and budgets, and what came of them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: Metrics in [0, 1] that exist without a scorer of that name; any score's name is one as well.
BOUNDED_METRICS = ("score", "pass_rate")
#: Metrics without an upper bound: a sample's value is the sum over its LLM calls.
BUDGET_METRICS = ("cost_usd", "latency_ms", "input_tokens", "output_tokens", "calls")


class Interval(NamedTuple):
    """A confidence interval for a mean; both ends included."""

    low: float
    high: float


class Scope(StrEnum):
    """What a gate looks at: one case, or all the cases of a task."""

    CASE = "case"
    TASK = "task"


class Outcome(StrEnum):
    """What came of a gate.

    ``UNDECIDED`` is a verdict (not enough evidence, or scores missing) and fails by default;
    ``NOT_RUN`` is none: not every case of the task ran, so nothing was decided and nothing follows.
    """

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"
    NOT_RUN = "not run"


class Bar(BaseModel, defer_build=True):
    """What a metric is compared with, as a marker or ``kaizen.yaml`` states it.

    Exactly one of ``min``, ``max`` and ``max_drop`` is given. The mean over samples is compared
    with it or, with ``share``, the share of samples whose own value is within it.

    Attributes:
        metric: A score's name, one of ``BOUNDED_METRICS`` or one of ``BUDGET_METRICS``.
        max_drop: How far the mean may fall below the baseline's, paired by case.
        confidence: Decide by a sequential test at this confidence, in (0.5, 1).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = Field(min_length=1)
    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)
    share: float | None = Field(default=None, gt=0, le=1)
    max_drop: float | None = Field(default=None, gt=0, le=1)
    confidence: float | None = Field(default=None, gt=0.5, lt=1)

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        given = [name for name in ("min", "max", "max_drop") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"give exactly one of min, max and max_drop (found {found})")
        value = self.min if self.min is not None else self.max
        if value is not None and self.metric not in BUDGET_METRICS and not 0 <= value <= 1:
            raise ValueError(f"{given[0]} of '{self.metric}' must lie in [0, 1] (found {value:g})")
        if value is not None and self.metric in BUDGET_METRICS and value < 0:
            raise ValueError(f"{given[0]} of '{self.metric}' must not be negative (found {value:g})")
        if self.metric in BUDGET_METRICS:
            if self.max_drop is not None:
                raise ValueError(f"max_drop is for scores; '{self.metric}' takes min or max")
            if self.confidence is not None and self.share is None:
                raise ValueError(
                    f"'{self.metric}' has no upper bound, so confidence needs share: the share of "
                    "samples within the bar, for example share=0.95"
                )
        if self.share is not None and self.max_drop is not None:
            raise ValueError("share goes with min or max, not with max_drop")
        return self

    @property
    def text(self) -> str:
        """The rule as reports print it: ``latency_ms <= 5000 in 95% of samples``."""
        if self.max_drop is not None:
            return f"drop <= {self.max_drop:g}"
        bar = f">= {self.min:g}" if self.min is not None else f"<= {self.max:g}"
        return bar if self.share is None else f"{bar} in {self.share:.0%} of samples"


class GateSpec(Bar):
    """A rule on one case or on one task.

    Attributes:
        origin: Where the rule stands, for messages: ``tests/test_x.py::test_y @kaizen_threshold``
            or ``kaizen.yaml:12``.
    """

    scope: Scope
    task: str
    origin: str = ""

    def with_default_confidence(self, confidence: float | None) -> GateSpec:
        """Return the rule with a confidence, if it states none and is on a mean or a rate."""
        unbounded = self.metric in BUDGET_METRICS and self.share is None
        if confidence is None or self.confidence is not None or unbounded:
            return self
        return self.model_copy(update={"confidence": confidence})


class GateResult(BaseModel):
    """What came of a gate, with one sentence that says why.

    Attributes:
        name: What the gate looks at: a metric, or ``prompt summarize_ticket``.
        figure: The measured value; None when there was nothing to measure.
        bar: The value it was compared with, as text (``>= 0.80``).
        samples: Samples that entered the figure.
        missing: Samples without the value (a scorer failed, or never gave one).
        sentence: The whole verdict in one sentence, as reports print it.
    """

    scope: Scope
    task: str
    case_id: str | None = None
    name: str
    figure: float | None = None
    bar: str
    interval: Interval | None = None
    samples: int = 0
    missing: int = 0
    outcome: Outcome
    sentence: str
    origin: str = ""
