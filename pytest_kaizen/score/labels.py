"""Labels that people gave: a CSV file of outputs and what is thought of them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from .calibration import WHOLE
from .rubric import Rubric
from .scale import Scale

_NEEDED = ("input", "output")


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
