"""Whether a judge may be trusted: its agreement with labels that people gave, and what a rubric demands."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

from ..errors import UsageError
from ..models import Agreement, Calibration, Interval, Pair
from .rubric import Rubric, Scale

#: The criterion under which scores of the whole are compared, and the answers they are taken for.
WHOLE = "score"
_HALVES = (("below 0.5", 0.0), ("0.5 and above", 1.0))
_CONFIDENCE = 0.95

_NEEDED = ("input", "output")


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


@dataclass(frozen=True)
class Labelled:
    """One output that a person has judged.

    Attributes:
        line: Its line in the file, counted from 1.
        values: What the person thought, in [0, 1], by criterion; or by ``score`` for the whole.
    """

    line: int
    input: str | None
    output: str
    reference: str | None
    values: dict[str, float]


def read_labels(path: Path, rubric: Rubric) -> list[Labelled]:
    """Read labels for the judged criteria of a rubric.

    The columns are ``input``, ``output``, perhaps ``reference``, and one for each judged criterion
    with answers on its scale; or instead of these one named ``score``, in [0, 1], for the whole.
    Other columns are left alone.

    Raises:
        UsageError: The file cannot be read or does not hold that; names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            columns = _columns(path, header, rubric)
            labelled = []
            start = reader.line_num + 1
            for cells in reader:
                if cells:
                    labelled.append(_row(path, start, header, cells, columns))
                start = reader.line_num + 1
    except FileNotFoundError:
        raise UsageError("no such file", path=path) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot be read: {exc}", path=path) from None
    except csv.Error as exc:
        raise UsageError(f"not valid CSV: {exc}", path=path, line=reader.line_num) from None
    if not labelled:
        raise UsageError("there are no labels below the header", path=path)
    return labelled


def _columns(path: Path, header: list[str], rubric: Rubric) -> dict[str, Scale | None]:
    """Find the columns that hold labels, with their scales."""
    if not rubric.judged:
        raise UsageError(
            "no criterion is judged by a model, so there is nothing to calibrate", path=rubric.path
        )
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"two columns are named '{twice}'; keep one", path=path, line=1)
    criteria: dict[str, Scale | None] = {criterion.name: criterion.scale for criterion in rubric.judged}
    columns = criteria
    if WHOLE in header and criteria.keys().isdisjoint(header):
        columns = {WHOLE: None}
    missing = [name for name in (*_NEEDED, *columns) if name not in header]
    if missing:
        wanted = ", ".join((*_NEEDED, *criteria))
        raise UsageError(
            f"no column '{missing[0]}'; valid: {wanted}, and reference; or {WHOLE} instead of the criteria "
            f"(found {', '.join(header) or 'an empty file'})",
            path=path,
            line=1,
        )
    return columns


def _row(
    path: Path, line: int, header: list[str], cells: list[str], columns: dict[str, Scale | None]
) -> Labelled:
    if len(cells) != len(header):
        raise UsageError(f"expected {len(header)} cells, found {len(cells)}", path=path, line=line)
    row = dict(zip(header, cells, strict=True))
    values = {}
    for name, scale in columns.items():
        try:
            values[name] = _whole(row[name]) if scale is None else _answer(row[name], scale)
        except ValueError as exc:
            raise UsageError(f"{name}: {exc} (found {row[name]!r})", path=path, line=line) from None
    return Labelled(line, row["input"] or None, row["output"], row.get("reference") or None, values)


def _answer(text: str, scale: Scale) -> float:
    for answer in scale.schema["enum"]:
        if text.strip().lower() == str(answer):
            return scale.to_unit(answer)
    raise ValueError(f"expected {scale.question}")


def _whole(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError("expected a number in [0, 1]")
    return value


def calibration_of(
    rubric: Rubric, model: str, votes: int, calibrations: Sequence[Calibration]
) -> Calibration | None:
    """Find the calibration that holds for a judge: the same text of the rubric, model and votes.

    Args:
        rubric: What is judged by.
        model: The judge's model.
        votes: How often it judges each output.
        calibrations: Those of the rubric's name, the newest first.
    """
    wanted = (rubric.sha256, model, votes)
    return next((c for c in calibrations if (c.rubric_sha256, c.model, c.votes) == wanted), None)


def refusal(rubric: Rubric, model: str, votes: int, calibrations: Sequence[Calibration]) -> str | None:
    """Say why a judge does not reach a rubric's ``min_kappa``, and what to do; None when it does.

    The kappa that counts is that of the criterion on which the judge agrees with people least.
    """
    if rubric.min_kappa is None:
        return None
    here = Path.cwd()
    path = rubric.path.relative_to(here) if rubric.path.is_relative_to(here) else rubric.path
    cure = f"`kaizen judge calibrate labels.csv --rubric {path}`"
    found = calibration_of(rubric, model, votes, calibrations)
    if found is None:
        why = _why_not(rubric, model, votes, calibrations)
        return f"min_kappa {rubric.min_kappa:g} is demanded, but {why}; run {cure}"
    weakest = found.weakest
    if weakest.kappa is not None and weakest.kappa >= rubric.min_kappa:
        return None
    return (
        f"min_kappa {rubric.min_kappa:g} is demanded, but judge {model} has "
        f"{weakest.kappa_text} on '{weakest.name}' over {found.labels} labels; word the criterion more "
        f"clearly or take another model, then run {cure}"
    )


def _why_not(rubric: Rubric, model: str, votes: int, calibrations: Sequence[Calibration]) -> str:
    if not calibrations:
        return f"judge {model} was never calibrated"
    of_text = [c for c in calibrations if c.rubric_sha256 == rubric.sha256]
    if not of_text:
        return f"the calibration of {calibrations[0].created_at:%Y-%m-%d} is for another text of the rubric"
    of_model = [c for c in of_text if c.model == model]
    if not of_model:
        return f"the calibration of {of_text[0].created_at:%Y-%m-%d} is for {of_text[0].model}, not {model}"
    return f"judge {model} was calibrated with votes: {of_model[0].votes}, not {votes}"
