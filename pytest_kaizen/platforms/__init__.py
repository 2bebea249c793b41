"""The platforms that results can be kept on, and what they share: limits, failures and models of JSON.

Each platform is a package of its own, which holds its JSON, and its ``client``, on top of the
``client`` here; none knows another.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, ValidationError
from pydantic_core import PydanticSerializationError

_CONNECT_S = 5.0

_SHOWN = 120
_LISTED = 3

T = TypeVar("T", bound=BaseModel)

#: At most 30 years, so that what ends then has a date.
Milliseconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]


@dataclass(frozen=True)
class Timeouts:
    """The limits of a call, in seconds.

    Attributes:
        connect: Until a connection stands, for each attempt.
        read: The longest silence of the server while its answer is awaited or read.
        total: The whole call: all its attempts, the pauses between them, and the answer to its end.
    """

    connect: float
    read: float
    total: float

    def __post_init__(self) -> None:
        if not all(limit > 0 for limit in (self.connect, self.read, self.total)):
            raise ValueError(f"timeouts must be greater than 0 (found {self})")


def as_timeouts(timeout: float | Timeouts) -> Timeouts:
    """Return the limits that a single figure stands for: that of the whole call.

    Raises:
        ValueError: It is not greater than 0.
    """
    if isinstance(timeout, Timeouts):
        return timeout
    return Timeouts(connect=min(timeout, _CONNECT_S), read=timeout, total=timeout)


class Reason(Enum):
    """The kinds of failure."""

    NO_KEY = "no key"
    NOT_SENT = "not sent"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    STATUS = "status"
    NOT_JSON = "not json"


@dataclass(frozen=True)
class Failure:
    """Why there is no result.

    Attributes:
        message: The whole of it in one sentence, without the key.
        status_code: The HTTP status, when there was an answer.
        body: The answer's JSON when there was an error status; None when it was no JSON.
        transient: Whether the same call may succeed later.
        untouched: Whether it is certain that the server has not begun with it.
        retry_after: Seconds, as the server said.
    """

    reason: Reason
    message: str
    status_code: int | None = None
    body: Any = None
    transient: bool = False
    untouched: bool = False
    retry_after: float | None = None


class CallFailed(Exception):  # noqa: N818 - it never leaves the base client
    """Carries a failure up to where it becomes the error of a platform."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


def error_text(body: Any) -> str:
    """Return what an error body says, in any of the shapes that the platforms and FastAPI use.

    Known are ``{"error": {"message"}}``, ``{"error": "…"}``, ``{"title", "detail"}`` and FastAPI's
    ``{"detail": [{"loc", "msg"}]}``, of which the rejected input is left out: it may hold a secret.
    """
    if not isinstance(body, dict):
        return ""
    detail = body.get("detail")
    if isinstance(detail, list):
        return listed([_problem(item) for item in detail if isinstance(item, dict)])
    if isinstance(detail, str) and detail:
        return detail
    error = body.get("error")
    if isinstance(error, dict):
        error = error.get("message") or error.get("code")
    for text in (error, body.get("message"), body.get("title")):
        if isinstance(text, str) and text:
            return text
    return ""


def _problem(item: dict[str, Any]) -> str:
    place = item.get("loc")
    parts = [str(part) for part in place] if isinstance(place, list) else []
    return f"{'.'.join(parts)}: {item.get('msg', 'invalid')}"


def validation_text(error: ValidationError) -> str:
    """Say what does not fit a model, without the values: ``id: Field required``."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return listed([f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in problems])


def listed(items: list[str]) -> str:
    """Join the first few of many."""
    more = f"; and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
    return "; ".join(items[:_LISTED]) + more


def one_line(text: str, limit: int = _SHOWN) -> str:
    """Bring a foreign text to one short line that no terminal takes for a command."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Of a whole number in a request: JSON has one kind of number, so ``1.0`` is one too.
Whole = BeforeValidator(_whole)


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
