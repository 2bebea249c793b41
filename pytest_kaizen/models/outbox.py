"""The outbox: what is still owed to the platforms that a run is uploaded to."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class ParcelKind(StrEnum):
    """What a parcel brings, in the order in which a run has them."""

    RUN_BEGUN = "run begun"
    SAMPLE = "sample"
    CASE_FINISHED = "case finished"
    RUN_FINISHED = "run finished"


class OutboxState(StrEnum):
    """Where a row of the outbox stands."""

    OWED = "owed"
    ACKNOWLEDGED = "acknowledged"
    SET_ASIDE = "set aside"


class OutboxRow(BaseModel, defer_build=True):
    """One parcel that one backend is owed: what it is about, not its content.

    Attributes:
        number: Its place in the order in which the parcels came to be.
        case_id: Of a sample or a case.
        trace_id: Of a sample.
        key: The same for every attempt to send it, and of no other parcel of this backend.
        weak: Of a finished run, the tasks that a better prompt is to be searched for.
        attempts: How often the server had it, or could not be given it, without a result.
        reason: Why it was set aside, or not taken the last time.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    backend: str
    run_id: str
    kind: ParcelKind
    case_id: str | None = None
    trace_id: str | None = None
    key: str
    weak: tuple[str, ...] = ()
    state: OutboxState = OutboxState.OWED
    attempts: int = 0
    reason: str | None = None


class BackendState(BaseModel, defer_build=True):
    """How one backend stands.

    Attributes:
        owed, acknowledged, set_aside: How many rows there are of each.
        failures: How often in a row it could not be reached or had no time.
        next_at: Before then, nothing is sent on its own account.
        reason: What its last failure was; None when the last attempt went well.
        refused: Why the newest rows were set aside, each reason once.
    """

    model_config = ConfigDict(frozen=True)

    backend: str
    owed: int = 0
    acknowledged: int = 0
    set_aside: int = 0
    failures: int = 0
    next_at: datetime | None = None
    reason: str | None = None
    refused: tuple[str, ...] = ()


#: What a backend knows about a run at its platform: ids of what was made there, as JSON.
Remote = dict[str, Any]
