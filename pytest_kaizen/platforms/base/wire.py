"""What the JSON models of all platforms share."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel
from pydantic_core import PydanticSerializationError

T = TypeVar("T", bound=BaseModel)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Of a whole number in a request: JSON has one kind of number, so ``1.0`` is one too.
Whole = BeforeValidator(_whole)
#: At most 30 years, so that what ends then has a date.
Milliseconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


def at_least_one(*names: str, min_length: int = 0) -> dict[str, Any]:
    """Return what a JSON schema says of an object that must have one of these texts."""
    text = {"type": "string", "minLength": min_length}
    return {"anyOf": [{"required": [name], "properties": {name: text}} for name in names]}


class _Writing(BaseModel, defer_build=True):
    """How a body is written.

    Attributes:
        leave_out: What is not written: ``nothing`` (an answer, which shows every key), ``none`` (a
            request, in which an absent key means the default) or ``unset`` (a body in which null
            and absent differ).
    """

    leave_out: ClassVar[Literal["nothing", "none", "unset"]] = "nothing"

    def to_json(self) -> Any:
        """Return the body as plain JSON values."""
        return self.model_dump(
            mode="json",
            by_alias=True,
            exclude_none=self.leave_out == "none",
            exclude_unset=self.leave_out == "unset",
        )

    def to_bytes(self) -> bytes:
        """Return the body as JSON text in UTF-8.

        What JSON has no word for becomes null (infinities, NaN) or ``?`` (half a character, as a text
        has it that was cut in the middle of an emoji).

        Raises:
            ValueError: A value is none that JSON can hold.
        """
        try:
            return self.model_dump_json(
                by_alias=True,
                exclude_none=self.leave_out == "none",
                exclude_unset=self.leave_out == "unset",
            ).encode()
        except PydanticSerializationError:
            return json.dumps(self.to_json(), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


class WireModel(_Writing):
    """One JSON body, or a part of one, as a platform has it.

    Reading is tolerant: unknown keys are ignored, fields may be given by their own name or by the
    platform's key. Writing is exact: the platform's keys, and all of them but those that
    ``leave_out`` names.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, protected_namespaces=())

    @property
    def secrets(self) -> list[str]:
        """The texts that no message may quote: the fields that its repr leaves out."""
        hidden = [name for name, field in type(self).model_fields.items() if not field.repr]
        return [str(getattr(self, name)) for name in hidden if getattr(self, name)]


class RequestModel(WireModel):
    """The body of a request; keys that were not given are left out."""

    leave_out: ClassVar[Literal["nothing", "none", "unset"]] = "none"


class WireList(_Writing, RootModel[list[T]], Generic[T]):
    """A body that is a bare array."""


class ErrorCode(WireModel):
    """The part of an error body that Kayba's and Kalmia's clients read."""

    code: str
    message: str


class Problem(WireModel):
    """An error body that the clients of all platforms can read (RFC 7807, and ``error`` beside it)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    error: ErrorCode


class Health(WireModel):
    """Whether a server is there."""

    status: str = "ok"
