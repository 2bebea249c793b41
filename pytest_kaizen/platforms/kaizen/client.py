"""The client for whole runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...models import Case, Run
from .. import kaizen
from ..client import AsyncClient

if TYPE_CHECKING:
    import httpx

    from .. import Timeouts


class RunsClient(AsyncClient):
    """Brings runs to a server of ours; its methods are awaited.

    Args:
        api_key: The key, which may write; ``KAIZEN_API_KEY`` when not given.
        base_url: The server; ``KAIZEN_BASE_URL`` when not given, else ``http://localhost:8000``.
        timeout: Seconds that a call may take in all, or ``Timeouts``.
        transport: How requests travel, for a proxy or certificates of your own.

    Raises:
        PlatformError: There is no key, or the URL cannot be right; before any request.
    """

    platform = "kaizen"
    key_variable = "KAIZEN_API_KEY"
    url_variable = "KAIZEN_BASE_URL"
    default_url = "http://localhost:8000"

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float | Timeouts = 30.0,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(api_key, base_url, timeout, transport)

    async def put_run(self, run: Run) -> kaizen.RunKept:
        """Store a run, or what it has become; the same one twice changes nothing.

        Raises:
            PlatformError: The call failed.
        """
        body = kaizen.RunBody(run=run.model_dump(mode="json"))
        return await self._ask("PUT", self._path("/api/runs/{}", run.id), body=body, reads=kaizen.RunKept)

    async def put_cases(self, run_id: str, cases: Sequence[Case]) -> kaizen.RunKept:
        """Store cases of a run that is stored, with their samples; the same ones twice change nothing.

        Raises:
            PlatformError: The call failed.
        """
        body = kaizen.CasesBody(cases=[case.model_dump(mode="json") for case in cases])
        path = self._path("/api/runs/{}/cases", run_id)
        return await self._ask("PUT", path, body=body, reads=kaizen.RunKept)
