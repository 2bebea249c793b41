"""A store that owes, and a backend that does as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_kaizen.models import Case, ParcelKind, Run, Sample, Trace
from pytest_kaizen.pipeline.upload import Parcel, Shipment
from pytest_kaizen.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Told:
    """Keeps what it is sent.

    Attributes:
        batches: The keys of each shipment.
        got: The parcels that it acknowledged.
        does: Is asked before a shipment is taken, and may raise.
    """

    name = "otlp"

    def __init__(self, max_batch: int = 3) -> None:
        self.max_batch = max_batch
        self.batches: list[list[str]] = []
        self.got: list[Parcel] = []
        self.does: Callable[[Shipment], None] = lambda _: None
        self.closed = False

    async def send(self, shipment: Shipment) -> None:
        self.batches.append([parcel.key for parcel in shipment.parcels])
        self.does(shipment)
        self.got += shipment.rest

    async def aclose(self) -> None:
        self.closed = True


def fill(store: Store, run_id: str = "run-1", samples: int = 4) -> None:
    """Store a run with samples ``run-1.0``, ``run-1.1`` and so on."""
    store.start_run(Run(id=run_id, created_at=NOW))
    case = Case(id="c", run_id=run_id, task="support")
    for number in range(samples):
        trace = Trace(id=f"{run_id}.{number}", name="n", created_at=NOW, sample=number)
        store.add_sample(case, Sample(trace=trace), begins=number == 0)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def owing(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "kaizen.db", recipients={"otlp": {ParcelKind.SAMPLE}}) as store:
        fill(store)
        yield store


@pytest.fixture
def add_run(owing: Store) -> Callable[[str, int], None]:
    return lambda run_id, samples: fill(owing, run_id, samples)
