"""What a check is, how it sees outputs and references, and the check that is a function of the user's."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, model_validator

from ..errors import ScoreError

_SHORT = 80

_SHAPE = "a function of (output, input, reference)"


class CheckResult(NamedTuple):
    """What a check found.

    Attributes:
        value: In [0, 1].
        reason: What was expected and what was there, in one short line.
    """

    value: float
    reason: str


class Check(Protocol):
    """A deterministic criterion, its argument already validated."""

    @property
    def expected(self) -> str:
        """What the check looks for, in a few words."""
        ...

    def run(self, output: Any, *, input: Any, reference: Any) -> CheckResult:  # noqa: A002
        """Look at one output.

        Raises:
            ScoreError: The check could not be carried out; the output is then neither good nor bad.
        """
        ...


class CheckModel(BaseModel, defer_build=True):
    """Base of the checks: an immutable model whose fields are the check's argument in the rubric.

    Attributes:
        shorthand: The field that an argument stands for which is not a mapping:
            ``contains: word`` is ``contains: {text: word}``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shorthand: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _from_shorthand(cls, value: Any) -> Any:
        return value if isinstance(value, dict | cls) else {cls.shorthand: value}


def as_text(value: Any) -> str:
    """Return what a text check and the judge read: a string as it is, anything else as JSON.

    What JSON does not know is written as ``str`` writes it.
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        return str(value)


def short(value: Any) -> str:
    """Quote a value for a reason, cut to one short line."""
    text = " ".join(as_text(value).split())
    return repr(text if len(text) <= _SHORT else text[: _SHORT - 1] + "…")


def need_reference(reference: Any) -> Any:
    """Return the case's reference.

    Raises:
        ScoreError: The case has none.
    """
    if reference is None:
        raise ScoreError("the case has no reference to compare with; give kaizen.case(reference=...)")
    return reference


def passed(ok: bool, reason: str) -> CheckResult:
    """Make the result of a check that knows only yes and no."""
    return CheckResult(1.0 if ok else 0.0, reason)


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
