"""What can go wrong with a call, before it becomes the error of a platform."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import ValidationError

_SHOWN = 120
_LISTED = 3


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
