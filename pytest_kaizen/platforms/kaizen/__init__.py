"""What only a server of ours takes: whole runs, as the store on a machine has them.

``Run`` and ``Case`` as they write themselves, checked where they are taken in.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from .. import WireModel

#: So far whole numbers go in every JSON reader.
_LARGEST = 2**53


class _Stored(WireModel):
    @model_validator(mode="before")
    @classmethod
    def _fits(cls, given: Any) -> Any:
        """Refuse numbers that no database column holds."""
        left = [given]
        while left:
            value = left.pop()
            if isinstance(value, dict):
                left.extend(value.values())
            elif isinstance(value, list):
                left.extend(value)
            elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
                raise ValueError("whole numbers may be 2**53 at most")
        return given


class RunBody(_Stored):
    """``PUT /api/runs/:id``: a run, begun or finished."""

    run: dict[str, Any]


class CasesBody(_Stored):
    """``PUT /api/runs/:id/cases``: cases of a run, each with the samples of its last attempt."""

    cases: list[dict[str, Any]] = Field(min_length=1)


class RunKept(WireModel):
    """The answer to both."""

    run_id: str = Field(alias="runId")
    cases: int
