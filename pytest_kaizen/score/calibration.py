"""Agreement of a judge with people, and means corrected for the judge's errors: plain statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from ..models import Agreement, Interval, Pair
from .scale import Scale

#: The criterion under which scores of the whole are compared, and the answers they are taken for.
WHOLE = "score"
_HALVES = (("below 0.5", 0.0), ("0.5 and above", 1.0))
_CONFIDENCE = 0.95


def agreement(
    name: str, pairs: Sequence[Pair], scale: Scale | None, confidence: float = _CONFIDENCE
) -> Agreement:
    """Measure how far a judge agrees with people.

    Answers are compared on the scale; a judge's mean over votes counts as the answer next to it.
    Scores of the whole have no scale and count as below 0.5, or 0.5 and above.

    Args:
        name: What is measured.
        pairs: Values in [0, 1] that people and the judge gave; at least one.
        scale: The scale of the answers; None for scores of the whole.
        confidence: Of the intervals, in (0, 1).
    """
    answers = list(_HALVES) if scale is None else [(str(a), scale.to_unit(a)) for a in scale.schema["enum"]]
    places = [(_nearest(human, answers), _nearest(judge, answers)) for human, judge in pairs]
    seen = sorted({place for pair in places for place in pair})
    accuracy = sum(human == judge for human, judge in places) / len(pairs)
    kappa, kappa_interval = weighted_kappa(pairs, confidence)
    bias, bias_interval = mean_difference(pairs, confidence)
    return Agreement(
        name=name,
        accuracy=accuracy,
        accuracy_interval=wilson_interval(accuracy, len(pairs), confidence),
        kappa=kappa,
        kappa_interval=kappa_interval,
        bias=bias,
        bias_interval=bias_interval,
        answers=[answers[place][0] for place in seen],
        confusion=[[places.count((human, judge)) for judge in seen] for human in seen],
    )


def wilson_interval(mean: float, n: int, confidence: float = _CONFIDENCE) -> Interval:
    """Give Wilson's score interval (Wilson 1927) for a mean of values in [0, 1].

    Exact in kind for shares. Other values in [0, 1] vary less than a share of the same mean, so
    that the interval is then wider than need be.

    Args:
        mean: The observed mean.
        n: The number of values, at least 1.
        confidence: In (0, 1).
    """
    z2 = _z(confidence) ** 2
    centre = (mean + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (max(mean * (1 - mean), 0.0) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def weighted_kappa(
    pairs: Sequence[Pair], confidence: float = _CONFIDENCE
) -> tuple[float | None, Interval | None]:
    """Compute Cohen's kappa with quadratic weights, and its interval.

    Kappa (Cohen 1960) is ``1 - observed / expected`` disagreement, expected if the two answered
    independently. A disagreement weighs the square of its size (Cohen 1968), which on an even
    scale in [0, 1] is the squared difference, and for yes and no is plain kappa.

    The interval takes the expected disagreement for known, as Cohen's (1960) standard error does,
    and puts Wilson's interval around the observed one: unlike the usual normal approximation it
    keeps a width where all labels agree.

    Returns:
        Kappa and its interval; None twice when no disagreement can be expected.
    """
    n = len(pairs)
    observed = math.fsum((human - judge) ** 2 for human, judge in pairs) / n
    humans, judges = [human for human, _ in pairs], [judge for _, judge in pairs]
    squares = math.fsum(value * value for value in (*humans, *judges)) / n
    expected = squares - 2 * (math.fsum(humans) / n) * (math.fsum(judges) / n)
    if expected < 1e-12:
        return None, None
    low, high = wilson_interval(observed, n, confidence)
    return 1 - observed / expected, Interval(max(-1.0, 1 - high / expected), 1 - low / expected)


def mean_difference(pairs: Sequence[Pair], confidence: float = _CONFIDENCE) -> tuple[float, Interval]:
    """Compute the judge's mean minus people's, and its interval.

    The interval is that of Bonett and Price (2012) for paired shares: the normal one after a
    difference of +1 and one of -1 were added to the data. On finer scales it is wider than need be.
    """
    differences = [judge - human for human, judge in pairs]
    centre, error = _padded(differences, (-1.0, 1.0))
    half = _z(confidence) * error
    return math.fsum(differences) / len(differences), Interval(
        max(-1.0, centre - half), min(1.0, centre + half)
    )


def corrected_mean(
    scores: Sequence[float], pairs: Sequence[Pair], confidence: float = _CONFIDENCE
) -> tuple[float, Interval]:
    """Estimate the mean that people would have given, from a judge's scores and some labels.

    Prediction-powered inference for a mean (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic 2023):
    the judge's mean over all outputs, plus the mean of what people gave more than the judge
    on the labelled ones. It is unbiased whatever the judge's errors are, if the labelled outputs
    are of the same kind as the scored ones. Its variance is the sum of the two means'; each is
    computed with the two ends of its range added to the data, so that a few scores which happen to
    be equal do not look certain.

    Args:
        scores: The judge's scores in [0, 1], of independent cases; at least one.
        pairs: (person, judge) on the labelled outputs; at least one.
        confidence: In (0, 1).
    """
    rectifiers = [human - judge for human, judge in pairs]
    mean = math.fsum(scores) / len(scores) + math.fsum(rectifiers) / len(rectifiers)
    _, of_scores = _padded(scores, (0.0, 1.0))
    _, of_rectifiers = _padded(rectifiers, (-1.0, 1.0))
    half = _z(confidence) * math.hypot(of_scores, of_rectifiers)
    return min(1.0, max(0.0, mean)), Interval(
        min(1.0, max(0.0, mean - half)), min(1.0, max(0.0, mean + half))
    )


def _padded(values: Sequence[float], ends: tuple[float, float]) -> tuple[float, float]:
    """Return the mean, and its standard error, of values with both ends of their range added."""
    padded = [*values, *ends]
    n = len(padded)
    mean = math.fsum(padded) / n
    variance = math.fsum((value - mean) ** 2 for value in padded) / n
    return mean, math.sqrt(variance / n)


def _nearest(value: float, answers: Sequence[tuple[str, float]]) -> int:
    # Between two answers the better one: a total of 0.5 is "0.5 and above".
    return min(range(len(answers)), key=lambda place: (abs(answers[place][1] - value), -place))


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
