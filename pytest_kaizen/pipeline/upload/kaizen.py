"""A server of ours: whole runs, as the store on this machine has them.

Everything has an id of ours there, so that sending it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...config import Config
from ...models import ParcelKind
from ...platforms.kaizen.client import RunsClient
from .backend import TIMEOUTS, Shipment
from .key import key_from


class KaizenBackend:
    """Takes runs with their cases and samples to ``kaizen serve``.

    What it keeps in ``remote``: ``begun``, that the run is there.
    """

    name = "kaizen"
    # A case has all its samples with it, which may be many.
    max_batch = 20

    def __init__(self, client: RunsClient) -> None:
        self._client = client

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._client.base_url

    async def send(self, shipment: Shipment) -> None:
        """Store the run where it is not there, then its cases, and what it has become at its end."""
        if not shipment.remote.get("begun"):
            await self._client.put_run(shipment.run)
            shipment.remote["begun"] = True
        shipment.done(*(parcel for parcel in shipment.rest if parcel.kind is ParcelKind.RUN_BEGUN))
        arrived = [parcel for parcel in shipment.rest if parcel.kind is ParcelKind.CASE_FINISHED]
        if cases := [parcel.case for parcel in arrived if parcel.case]:
            await self._client.put_cases(shipment.run.id, cases)
            shipment.done(*arrived)
        if shipment.rest:
            await self._client.put_run(shipment.run)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


def create(config: Config, env: Mapping[str, str]) -> KaizenBackend:
    """Make the backend from ``backends.kaizen``.

    Raises:
        PlatformError: There is no key, or the URL cannot be right.
    """
    settings = config.backends.kaizen
    url = settings.url or env.get("KAIZEN_BASE_URL") or None
    return KaizenBackend(RunsClient(key_from(env, settings.key_env), url, TIMEOUTS))
