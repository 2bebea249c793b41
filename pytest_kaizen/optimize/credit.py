"""Which lines of a prompt help, told from all rollouts at once.

Trials of a rule on the cases it was drawn from miss the harm that it does elsewhere. All rollouts
together show it: prompts differ in their lines, so the score can be regressed on them. A ridge
regression (Hoerl and Kennard 1970) with a term for each case, whose difficulty is not the prompt's
doing, shrinks what little data says about a line towards 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

#: Standard deviations on the scale of scores: of a rollout, of the cases' means, of the lines' effects.
_NOISE, _BETWEEN_CASES, _OF_LINES = 0.2, 0.1, 0.1


class Observation(NamedTuple):
    """A rollout: the lines of its prompt, its case and its score."""

    lines: frozenset[str]
    case_id: str
    score: float


def line_effects(observations: Sequence[Observation], lines: Sequence[str]) -> dict[str, float]:
    """Estimate what each line adds to the mean score.

    Args:
        observations: All rollouts.
        lines: The lines that are asked about; others count as part of the noise.

    Returns:
        The effect of each line, on the scale of scores; 0 for one that no rollout had.
    """
    cases = sorted({observation.case_id for observation in observations})
    place = {case: len(lines) + index for index, case in enumerate(cases)}
    size = len(lines) + len(cases) + 1
    penalties = [(_NOISE / _OF_LINES) ** 2] * len(lines) + [(_NOISE / _BETWEEN_CASES) ** 2] * len(cases)
    # The overall mean is free, but for what keeps the system solvable without observations.
    penalties.append(1e-6)
    matrix = [[0.0] * size for _ in range(size)]
    for index, penalty in enumerate(penalties):
        matrix[index][index] = penalty
    right = [0.0] * size
    for observation in observations:
        terms = [index for index, line in enumerate(lines) if line in observation.lines]
        terms += [place[observation.case_id], size - 1]
        for row in terms:
            right[row] += observation.score
            for column in terms:
                matrix[row][column] += 1.0
    return dict(zip(lines, _solve(matrix, right), strict=False))


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve a symmetric, positive definite system by Gaussian elimination."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for pivot in range(size):
        top = rows[pivot]
        for row in rows[pivot + 1 :]:
            factor = row[pivot] / top[pivot]
            if factor:
                for column in range(pivot, size + 1):
                    row[column] -= factor * top[column]
    solution = [0.0] * size
    for index in range(size - 1, -1, -1):
        rest = sum(rows[index][column] * solution[column] for column in range(index + 1, size))
        solution[index] = (rows[index][size] - rest) / rows[index][index]
    return solution
