"""The check ``python: module:function``: a function of the user's."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from pydantic import model_validator

from ...errors import ScoreError
from .base import CheckModel, CheckResult, short

_SHAPE = "a function of (output, input, reference)"


class Python(CheckModel):
    """A function judges the output.

    It is called as ``function(output, input, reference)`` and returns a bool, a number in [0, 1], or
    such a value with a reason: ``(value, "why")``. An exception that it raises is an error of the
    score, never a 0.
    """

    target: str
    function: Callable[..., Any]

    @model_validator(mode="before")
    @classmethod
    def _from_shorthand(cls, value: Any) -> Any:
        if not isinstance(value, str) or value.count(":") != 1 or not all(value.split(":")):
            raise ValueError("expected module:function")
        return {"target": value, "function": _import(value)}

    @property
    def expected(self) -> str:
        """What the check looks for."""
        first = (inspect.getdoc(self.function) or "").partition("\n")[0]
        return first or self.target

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002
        """Call the function and take over its value."""
        try:
            answer = self.function(output, input, reference)
        except Exception as exc:
            raise ScoreError(f"{self.target} raised {type(exc).__name__}: {exc}") from exc
        value, reason = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ScoreError(
                f"{self.target} returned {short(repr(answer))}; expected a bool, a number in [0, 1] "
                "or (value, reason)"
            )
        return CheckResult(float(value), f"{self.target} returned {value}" if reason is None else str(reason))


def _import(target: str) -> Callable[..., Any]:
    """Import ``module:function``.

    Raises:
        ValueError: What stands in the way, and the cure.
    """
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        raise ValueError(
            f"cannot import {module_name!r}: {exc}; it must be importable where pytest runs, for example "
            "through the ini key pythonpath"
        ) from None
    except Exception as exc:
        raise ValueError(f"importing {module_name!r} raised {type(exc).__name__}: {exc}") from None
    function = getattr(module, name, None)
    if function is None:
        raise ValueError(f"module {module_name!r} has no function {name!r}")
    if not callable(function):
        raise ValueError(f"{target} is not callable; expected {_SHAPE}")  # noqa: TRY004 - pydantic's way
    try:
        inspect.signature(function).bind(None, None, None)
    except TypeError as exc:
        raise ValueError(f"{target} is not {_SHAPE}: {exc}") from None
    except ValueError:
        # Some functions in C have no signature to look at; the call will tell.
        pass
    if inspect.iscoroutinefunction(function):
        raise ValueError(f"{target} is async; expected a plain function")
    return function  # type: ignore[no-any-return]
