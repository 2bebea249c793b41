"""Several gates in one session: the chance of a wrong verdict anywhere."""

from __future__ import annotations

from collections.abc import Sequence

from .betting import SequentialTest, Verdict


def holm(tests: Sequence[SequentialTest], confidence: float = 0.95) -> list[Verdict]:
    """Decide a family of gates so that the errors hold over all of them at once.

    Holm's step-down procedure (Holm 1979), once over the gates' "passes" and once over their
    "fails": the chance that any gate passes wrongly is at most ``1 - confidence``, and so is the
    chance that any fails wrongly. It needs no independence, and since the p-values are valid
    whenever one looks, it may be asked after every draw. One gate alone is decided as without it.

    Args:
        tests: One per gate, fed as far as the run went; go on feeding those that come back
            undecided.
        confidence: Of the family, in (0, 1).

    Returns:
        The verdicts, in the order of the tests.
    """
    alpha_pass = _level([test.p_pass for test in tests], 1 - confidence)
    alpha_fail = _level([test.p_fail for test in tests], 1 - confidence)
    return [test.verdict(alpha_pass=alpha_pass, alpha_fail=alpha_fail) for test in tests]


def _level(p_values: Sequence[float], alpha: float) -> float:
    """Find the level at or below which Holm rejects."""
    level = alpha / max(len(p_values), 1)
    for rejected, p_value in enumerate(sorted(p_values)):
        step = alpha / (len(p_values) - rejected)
        if p_value > step:
            break
        level = step
    return level
