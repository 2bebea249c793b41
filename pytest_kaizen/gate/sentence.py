"""Numbers and sentences of gates, as reports print them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal

from ..models import BUDGET_METRICS, GateSpec, Interval
from .betting import Family

#: Two values this close are one: a mean of 0.8 is at a bar of 0.8 whatever float arithmetic says.
TOLERANCE = 1e-9
_REASON_CHARS = 160


def budget_number(value: float, digits: int = 3) -> str:
    """Write a cost, a time or a count to ``digits`` significant digits, never as ``5e+03``."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    exact = Decimal(repr(value))
    # Digits before the point are all kept: 5213.4 ms is 5213, not 5210.
    places = max(digits - 1 - exact.adjusted(), 0)
    text = f"{exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def score_number(value: float, decimals: int = 2) -> str:
    """Write a score in [0, 1] (or a difference of scores) to two decimals, or as many as asked."""
    # Adding 0.0 turns a rounded -0.0 into 0.0.
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


def percent(value: float, decimals: int = 0) -> str:
    """Write a share in [0, 1] as a percentage."""
    return f"{100 * value:.{decimals}f}%"


def bar_number(spec: GateSpec) -> str:
    """Write the value of a bar with all the digits that the user gave it."""
    value = _bar_value(spec)
    if spec.metric in BUDGET_METRICS:
        return budget_number(value, 15)
    return score_number(value, max(2, _decimals(value)))


def bar_text(spec: GateSpec) -> str:
    """Write a rule: ``>= 0.80``, ``<= 5000 in 95% of samples``, ``drop <= 0.05``."""
    if spec.max_drop is not None:
        return f"drop <= {bar_number(spec)}"
    text = f"{'>=' if spec.min is not None else '<='} {bar_number(spec)}"
    if spec.share is None:
        return text
    return f"{text} in {percent(spec.share, max(0, _decimals(spec.share) - 2))} of samples"


def figure_text(spec: GateSpec, figure: float, interval: Interval | None) -> str:
    """Write a figure and its interval, with enough digits to tell the figure from its bar."""
    write: Callable[[float, int], str] = score_number
    target = _bar_value(spec)
    fewest = max(2, _decimals(target))
    if spec.share is not None:
        write, target, fewest = percent, spec.share, max(0, _decimals(spec.share) - 2)
    elif spec.metric in BUDGET_METRICS:
        write, fewest = budget_number, 3
    digits = fewest
    # "0.80 >= 0.80: fail" would puzzle; write 0.7996 then.
    while (
        abs(figure - target) > TOLERANCE
        and digits < fewest + 8
        and write(figure, digits) == write(target, digits)
    ):
        digits += 1
    text = write(figure, digits)
    return (
        text
        if interval is None
        else f"{text} [{write(interval.low, fewest)}, {write(interval.high, fewest)}]"
    )


def counted(number: int, noun: str) -> str:
    """Write ``1 sample`` or ``2 samples``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def missing_text(missing: int, reasons: Sequence[str]) -> str:
    """Say how many values are missing and the first reason: ``, 2 missing (judge timed out)``."""
    return f", {missing} missing{first_reason(reasons)}" if missing else ""


def first_reason(reasons: Sequence[str]) -> str:
    """Write the first reason in brackets, on one line and cut to a readable length."""
    reason = " ".join(reasons[0].split()) if reasons else ""
    if len(reason) > _REASON_CHARS:
        reason = f"{reason[: _REASON_CHARS - 3]}..."
    return f" ({reason})" if reason else ""


def error_text(confidence: float, family: Family | None) -> str:
    """State the error of a sequential verdict: ``(error <= 5%)``, ``(error <= 5% over 6 gates)``."""
    if family is None or family.size == 1:
        return f" (error <= {100 * (1 - confidence):.4g}%)"
    return f" (error <= {100 * (1 - family.confidence):.4g}% over {family.size} gates)"


def _bar_value(spec: GateSpec) -> float:
    return next(value for value in (spec.min, spec.max, spec.max_drop) if value is not None)


def _decimals(value: float) -> int:
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
