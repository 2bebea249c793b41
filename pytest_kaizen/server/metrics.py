"""What the server counts, in Prometheus' text form."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

#: Seconds; the first are those of a plain read, the last those of a model's long answer.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The figures of one server process; no label holds an id, a key or a text of a client."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        labels = ["method", "path", "status"]
        self.requests = Counter("kaizen_requests", "Requests by operation.", labels, registry=registry)
        self.seconds = Histogram(
            "kaizen_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ["method", "path"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.open = Gauge("kaizen_requests_open", "Requests under way.", registry=registry)
        self.traces = Counter("kaizen_traces", "Traces that were stored, by way.", ["way"], registry=registry)
        self.lost = Counter(
            "kaizen_traces_lost", "Traces of the proxy that could not be stored.", registry=registry
        )

    def text(self) -> bytes:
        """Return the figures as they are scraped."""
        return generate_latest(self._registry)
