"""How long a call may take."""

from __future__ import annotations

from dataclasses import dataclass

_CONNECT_S = 5.0


@dataclass(frozen=True)
class Timeouts:
    """The limits of a call, in seconds.

    Attributes:
        connect: Until a connection stands, for each attempt.
        read: The longest silence of the server while its answer is awaited or read.
        total: The whole call: all its attempts, the pauses between them, and the answer to its end.
    """

    connect: float
    read: float
    total: float

    def __post_init__(self) -> None:
        if not all(limit > 0 for limit in (self.connect, self.read, self.total)):
            raise ValueError(f"timeouts must be greater than 0 (found {self})")


def as_timeouts(timeout: float | Timeouts) -> Timeouts:
    """Return the limits that a single figure stands for: that of the whole call.

    Raises:
        ValueError: It is not greater than 0.
    """
    if isinstance(timeout, Timeouts):
        return timeout
    return Timeouts(connect=min(timeout, _CONNECT_S), read=timeout, total=timeout)
