"""The calls about keys, some of which need none; and what all clients of Kaizen CT are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import CTAuthError, CTError, CTNotFoundError, CTServerError, CTValidationError
from .. import Failure, Reason
from ..client import PlatformClient, SyncClient, Twin
from . import Empty, KeyCreate, KeyCreated, KeyInfo, KeyList, KeyStatus

if TYPE_CHECKING:
    import httpx

    from .. import Timeouts

_CLASSES = {401: CTAuthError, 404: CTNotFoundError, 422: CTValidationError}


class CTCallsBase(PlatformClient):
    """Where Kaizen CT is, and what its errors are."""

    platform = "Kaizen CT"
    key_variable = "KAIZEN_API_KEY"
    url_variable = "KAIZEN_BASE_URL"
    default_url = "http://localhost:8000"

    def _error(self, failure: Failure) -> CTError:
        status = failure.status_code or 0
        kind = _CLASSES.get(status, CTServerError if status >= 500 else CTError)
        if failure.reason is Reason.NOT_SENT:
            kind = CTValidationError
        body = failure.body
        return kind(
            failure.message,
            failure.status_code,
            body.get("detail", body) if isinstance(body, dict) else body,
            transient=failure.transient,
            retry_after=failure.retry_after,
        )


class KeyCalls(CTCallsBase):
    """The calls about the keys of a workspace."""

    @Twin
    async def list_keys(self) -> list[KeyInfo]:
        """Return the keys of the workspace that the client's own key opens.

        Raises:
            CTError: The call failed; 403 for a key that may not.
        """
        return (await self._ask("GET", "/api/v1/keys", reads=KeyList)).root

    @Twin
    async def create_key(self, label: str) -> KeyCreated:
        """Make a key of that workspace; its text is to be had this once.

        Raises:
            CTError: The call failed; 403 for a key that may not.
        """
        body = self._body(KeyCreate, label=label)
        return await self._ask("POST", "/api/v1/keys", body=body, reads=KeyCreated, once=True)

    @Twin
    async def delete_key(self, key_id: str) -> None:
        """Revoke a key of that workspace.

        Raises:
            CTError: The call failed.
        """
        await self._ask("DELETE", self._path("/api/v1/keys/{}", key_id), reads=Empty)


class FirstKeyClient(SyncClient, CTCallsBase):
    """What Kaizen CT says without a key: whether there are keys, and the first of them.

    Args:
        api_key: A key to send all the same; the environment's is not sent.
        base_url: The server; ``KAIZEN_BASE_URL`` when not given, else ``http://localhost:8000``.
        timeout: Seconds that a call may take in all, or ``Timeouts``.
        transport: How requests travel, for a proxy or certificates of your own.
    """

    needs_key = False

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float | Timeouts = 30.0,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(api_key, base_url, timeout, transport)

    @Twin
    async def key_status(self) -> KeyStatus:
        """Say whether the server has keys, and how many.

        Raises:
            CTError: The call failed.
        """
        return await self._ask("GET", "/api/v1/keys/status", reads=KeyStatus)

    @Twin
    async def bootstrap(self, label: str) -> KeyCreated:
        """Make the first key of a server; its text is to be had this once.

        Raises:
            CTError: The call failed; 403 where there has been a key.
        """
        body = self._body(KeyCreate, label=label)
        return await self._ask("POST", "/api/v1/keys/bootstrap", body=body, reads=KeyCreated, once=True)
