"""What is brought to the platforms, and the backends that take it there, each to one of them.

A backend is made by a function ``(config, env)`` of a module in this folder, named in ``BACKENDS``. It
keeps nothing on disk and repeats nothing: which parcels are owed, when they are sent again and what is
known about a run at the platform is kept by the outbox.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, cast, runtime_checkable

from ...config import Config
from ...errors import ConfigError, PlatformError
from ...models import Case, ParcelKind, Remote, Run, Sample
from ...platforms import Timeouts

#: What a client of a backend is given: the session does not wait for a call, ``kaizen sync`` does.
TIMEOUTS = Timeouts(connect=5.0, read=20.0, total=30.0)

#: The server has read the parcel and does not want it.
_REFUSALS = frozenset({400, 409, 410, 413, 415, 422})


@dataclass(frozen=True, eq=False)
class Parcel:
    """Something of a run that a backend is owed, as the store has it now.

    Attributes:
        key: The same at every attempt to send it, of no other parcel; fit for a header.
        kind: What it brings.
        run: The run, with its ``ci`` context; finished only with ``RUN_FINISHED``.
        case: With ``SAMPLE`` the case with that one sample, with ``CASE_FINISHED`` the case with its
            outcome, gates and all the samples of its last attempt; else None.
        weak: With ``RUN_FINISHED``, the tasks for which the user wants to pay for a better prompt: a
            gate of theirs failed, ``--kaizen-optimize`` allows it, and this is no pull request from a
            fork. Whatever costs money is done for these alone.
    """

    key: str
    kind: ParcelKind
    run: Run
    case: Case | None = None
    weak: tuple[str, ...] = ()

    @property
    def sample(self) -> Sample | None:
        """The sample of a ``SAMPLE``; None for the other kinds."""
        return self.case.samples[0] if self.case and self.kind is ParcelKind.SAMPLE else None

    def part_key(self, part: str) -> str:
        """Return an idempotency key for one of several calls that a parcel takes."""
        return f"{self.key}.{hashlib.sha256(part.encode('utf-8', 'replace')).hexdigest()[:12]}"


@dataclass
class Shipment:
    """Parcels of one run, in their order, and what is known of the run at the platform.

    Attributes:
        parcels: At most ``max_batch`` of the backend's kinds.
        remote: Ids of what was made at the platform for this run. A backend reads and changes it;
            it is stored after every attempt, also a failed one, and is here again with the next
            parcels of the run, in another process perhaps.
        say: Tells the user a line: what was started there, what it costs.
        delivered: The parcels that are there.
    """

    parcels: Sequence[Parcel]
    remote: Remote
    say: Callable[[str], None]
    delivered: list[Parcel] = field(default_factory=list)

    @property
    def run(self) -> Run:
        """The run that all the parcels are of."""
        return self.parcels[0].run

    def done(self, *parcels: Parcel) -> None:
        """Say that parcels are there, whatever becomes of the rest."""
        self.delivered.extend(parcels)

    @property
    def rest(self) -> list[Parcel]:
        """The parcels that are not delivered."""
        there = {parcel.key for parcel in self.delivered}
        return [parcel for parcel in self.parcels if parcel.key not in there]


class Backend(Protocol):
    """Takes parcels to one platform.

    Attributes:
        name: As in ``BACKENDS``.
        max_batch: How many parcels a shipment may have.
    """

    name: str
    max_batch: int

    async def send(self, shipment: Shipment) -> None:
        """Send the parcels; when this returns, all of them are there.

        A parcel may have been sent before without anybody knowing: what the platform offers is used
        so that it counts once (``idempotency_key(parcel.key)``, an id of ours, a look first).

        Raises:
            PlatformError: What is not marked as ``done`` is not there. See ``fate_of`` for what
                follows. A parcel that is refused together with others is sent again alone.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


@runtime_checkable
class Follows(Protocol):
    """A backend that can wait for the work it has begun at its platform (``--kaizen-wait``)."""

    async def follow(self, remote: Remote, say: Callable[[str], None]) -> None:
        """Wait until the work known in ``remote`` has ended, and say what came of it.

        Raises:
            PlatformError: It cannot be followed any more.
        """
        ...


class Fate(Enum):
    """What follows on a failure."""

    LATER = "later"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"


def fate_of(error: PlatformError) -> Fate:
    """Say what follows on a failure of a call.

    ``LATER``: no connection, no answer in time, 429, 5xx, an answer that is no JSON: everything stays
    owed, and the backend has a pause. ``REFUSED``: the body was not taken (400, 409, 410, 413, 415, 422)
    or could not be made: this parcel is set aside. ``MISCONFIGURED``: key, address or id is wrong
    (401, 403, 404, a redirect and the like): everything stays owed, and this session sends no more
    to the backend.
    """
    if error.transient:
        return Fate.LATER
    if error.status_code is None or error.status_code in _REFUSALS:
        return Fate.REFUSED
    return Fate.MISCONFIGURED


def key_from(env: Mapping[str, str], variable: str) -> str:
    """Return the key that a variable of the environment holds.

    Raises:
        PlatformError: It holds none.
    """
    key = env.get(variable, "").strip()
    if not key:
        raise PlatformError(f"no key: set {variable} in the environment")
    return key


@dataclass(frozen=True)
class BackendType:
    """How a backend is found.

    Attributes:
        create: What makes it, ``module:function``: a function ``(config, env) -> Backend`` of a module in
            this folder, which is imported only when it is in use.
        kinds: What it wants to be brought; nothing else is owed to it.
    """

    create: str
    kinds: frozenset[ParcelKind]


#: By the names in ``config.BACKENDS``.
BACKENDS: Mapping[str, BackendType] = {
    "kaizen": BackendType(
        ".kaizen:create_kaizen",
        frozenset({ParcelKind.RUN_BEGUN, ParcelKind.CASE_FINISHED, ParcelKind.RUN_FINISHED}),
    ),
    "kaizen-ct": BackendType(
        ".kaizen:create_kaizen_ct", frozenset({ParcelKind.SAMPLE, ParcelKind.RUN_FINISHED})
    ),
    "kayba": BackendType(".kayba:create", frozenset({ParcelKind.CASE_FINISHED, ParcelKind.RUN_FINISHED})),
    "kate": BackendType(
        ".kate:create", frozenset({ParcelKind.RUN_BEGUN, ParcelKind.SAMPLE, ParcelKind.RUN_FINISHED})
    ),
    "kalmia": BackendType(".traces:create_kalmia", frozenset({ParcelKind.RUN_BEGUN, ParcelKind.SAMPLE})),
    "otlp": BackendType(".traces:create_otlp", frozenset({ParcelKind.SAMPLE})),
}


def recipients(config: Config) -> dict[str, frozenset[ParcelKind]]:
    """Return what each backend in use is owed."""
    return {name: BACKENDS[name].kinds for name in config.upload_to}


def open_backend(name: str, config: Config, env: Mapping[str, str]) -> Backend:
    """Make a backend; nothing is sent.

    Args:
        name: One of ``BACKENDS``.
        config: Has its settings.
        env: Has its key.

    Raises:
        ConfigError: The key is missing, or a setting cannot be right: names the variable or the key.
    """
    module, _, function = BACKENDS[name].create.partition(":")
    create = getattr(importlib.import_module(module, __package__), function)
    try:
        return cast(Backend, create(config, env))
    except PlatformError as exc:
        raise ConfigError(
            f"backend '{name}': {exc.message}; to upload nothing: --kaizen-backend local"
        ) from None
