"""What follows on a failure, and what a shipment knows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_kaizen.errors import KateError, PlatformError
from pytest_kaizen.models import Case, ParcelKind, Run, Sample, Trace
from pytest_kaizen.pipeline.upload import Fate, Parcel, Shipment, fate_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = Run(id="run-1", created_at=NOW)


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (PlatformError("no connection", transient=True), Fate.LATER),
        (PlatformError("busy", 429, transient=True, retry_after=3), Fate.LATER),
        (PlatformError("down", 503, transient=True), Fate.LATER),
        (KateError("not this body", 422), Fate.REFUSED),
        (PlatformError("too large", 413), Fate.REFUSED),
        (PlatformError("the body cannot be written as JSON"), Fate.REFUSED),
        (PlatformError("who are you", 401), Fate.MISCONFIGURED),
        (PlatformError("not for you", 403), Fate.MISCONFIGURED),
        (PlatformError("not here", 404), Fate.MISCONFIGURED),
        (PlatformError("elsewhere", 307), Fate.MISCONFIGURED),
    ],
)
def test_fates(error: PlatformError, fate: Fate) -> None:
    assert fate_of(error) is fate


def test_what_is_not_done_is_the_rest() -> None:
    first, second = (Parcel(key, ParcelKind.SAMPLE, RUN) for key in ("a", "b"))
    shipment = Shipment([first, second], {}, print)
    shipment.done(first)
    assert shipment.run is RUN
    assert shipment.rest == [second]


def test_only_a_sample_has_a_sample() -> None:
    sample = Sample(trace=Trace(id="t", name="n", created_at=NOW))
    case = Case(id="c", run_id="run-1", task="support", samples=[sample])
    assert Parcel("k", ParcelKind.SAMPLE, RUN, case).sample == sample
    assert Parcel("k", ParcelKind.CASE_FINISHED, RUN, case).sample is None


def test_the_key_of_a_part_is_its_own_and_fits_a_header() -> None:
    parcel = Parcel("run-1.finished", ParcelKind.RUN_FINISHED, RUN)
    keys = {parcel.part_key(part) for part in ("a", "b", "größe", "\udc80")}
    assert len(keys) == 4
    assert all(key.isascii() and " " not in key for key in keys)
    assert parcel.part_key("a") == parcel.part_key("a")
