"""What went wrong with a request, and the one body in which every client can read it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import Scope

from ..errors import ConfigError
from ..platforms import ErrorCode, Problem

MEDIA_TYPE = "application/problem+json"
#: The kinds of mistake that are told; a request with more has one cause or few.
_MOST_MISTAKES = 5


class Refusal(Exception):  # noqa: N818 - most are no errors of the server
    """A request that is not done.

    Args:
        status: The HTTP status.
        detail: What is wrong and what to do about it; shown to the client as it is.
        code: One word for programs; by the status where it is not given.
        headers: Headers of the answer.
    """

    def __init__(
        self, status: int, detail: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.detail = detail
        self.code = code or HTTPStatus(status).name
        self.headers = dict(headers or {})
        super().__init__(detail)

    @classmethod
    def of_secret_key(cls, error: ConfigError) -> Refusal:
        """Make the refusal of what needs the key for secrets, which the operator has not set (503)."""
        return cls(503, str(error), code="NO_SECRET_KEY")

    @classmethod
    def of_validation(cls, where: str, error: ValidationError) -> Refusal:
        """Make the refusal of values that are not as they must be.

        Args:
            where: What holds them: ``body`` or ``query``.
            error: What is wrong with them.
        """
        found = error.errors(include_url=False, include_input=False)
        if found[0]["type"] == "json_invalid":
            return cls(400, f"the {where} is no JSON that can be read: {found[0]['msg']}", code="BAD_JSON")
        told = [f"{'.'.join(map(str, (where, *item['loc'])))}: {item['msg']}" for item in found]
        more = len(told) - _MOST_MISTAKES
        detail = "; ".join(told[:_MOST_MISTAKES]) + (f"; and {more} more" if more > 0 else "")
        return cls(422, detail, code="INVALID")


def problem_response(refusal: Refusal, scope: Scope) -> Response:
    """Return the answer to a request that is not done.

    Args:
        refusal: Why.
        scope: The request's ASGI scope.
    """
    body = Problem(
        title=HTTPStatus(refusal.status).phrase,
        status=refusal.status,
        detail=refusal.detail,
        instance=scope["path"],
        error=ErrorCode(code=refusal.code, message=refusal.detail),
    )
    return Response(body.to_bytes(), refusal.status, headers=refusal.headers, media_type=MEDIA_TYPE)
