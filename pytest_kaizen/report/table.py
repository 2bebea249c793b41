"""Tables for the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .plain import plain

_NUMBER = re.compile(r"[-+$<~]*\d[\d,.]*\s?(%|ms|s)?")
_BREAK = re.compile(r"\s+")


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out rows under headers.

    Cells stand as ``str`` gives them, in one line, nothing for None; columns that hold numbers only
    are aligned to the right. Control characters are shown, not sent to the terminal: cells may hold
    what a model wrote.
    """
    # Needed at the end of a run, not at its start.
    from tabulate import tabulate

    cells = [[_cell(value) for value in row] for row in rows]
    columns = list(zip(*cells, strict=True)) or [()] * len(headers)
    # tabulate's own detection would also rewrite numbers (007, 1e5).
    align = ["right" if _is_numeric(column) else "left" for column in columns]
    return tabulate(cells, headers=headers, tablefmt="simple", colalign=align, disable_numparse=True)


def _cell(value: object) -> str:
    return "" if value is None else plain(_BREAK.sub(" ", str(value)).strip())


def _is_numeric(column: Sequence[str]) -> bool:
    filled = [cell for cell in column if cell]
    return bool(filled) and all(_NUMBER.fullmatch(cell) for cell in filled)
