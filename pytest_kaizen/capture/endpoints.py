"""Which requests are LLM calls."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from ..config import Endpoint


class Endpoints:
    """Recognises LLM calls by method, host and the end of the path.

    Args:
        endpoints: In order of precedence; the first that fits says how a call is read.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._known = [
            (endpoint.path.rstrip("/").encode(), endpoint.host.lower(), endpoint) for endpoint in endpoints
        ]

    def match(self, request: Any) -> Endpoint | None:
        """Return the endpoint that a request of httpx or httpx2 goes to; None where it is no LLM call."""
        if request.method != "POST":
            return None
        url = request.url
        path = url.raw_path.partition(b"?")[0].rstrip(b"/")
        for suffix, host, endpoint in self._known:
            if path.endswith(suffix) and (host == "*" or fnmatchcase(url.host, host)):
                return endpoint
        return None


def is_in_process(client: Any, url: Any) -> bool:
    """Say whether a client hands a request to an application in this very process.

    The ASGI and WSGI transports and the test clients built on them hold that application as
    ``app``. What it calls in turn is seen by itself; to count the outer call too would be twice.
    The transport has no public name; a client without it is taken to use the network.
    """
    find = getattr(client, "_transport_for_url", None)
    return find is not None and hasattr(find(url), "app")
