"""Traces that are kept elsewhere, brought here by their ids, and what a place is that they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from ...capture.build import Price
from ...errors import PlatformError
from ...models import Trace
from ...platforms import one_line

#: How often a request is made that fails for a reason that may pass.
ATTEMPTS = 5
_SHOWN = 300


class Connection(NamedTuple):
    """What is needed to ask a source.

    Attributes:
        url: Its base address.
        headers: Sent with every request; the credentials are among them.
        secret: What no message may quote.
        allow_private: Whether it may be in a private network.
        price: What a call costs that does not say so.
        attempts: How often a request is made that fails for a reason that may pass.
    """

    url: str
    headers: Mapping[str, str]
    secret: str | None
    allow_private: bool
    price: Price
    attempts: int = ATTEMPTS

    def __repr__(self) -> str:
        return f"Connection({self.url!r})"


class Project(NamedTuple):
    """What holds traces there: an experiment, a project."""

    id: str
    name: str


class Checked(NamedTuple):
    """What a look at a source found.

    Attributes:
        version: Of its software, where it says so.
        experiments: How many there are, where they are called so.
    """

    version: str | None = None
    experiments: int | None = None


class Page(NamedTuple):
    """Some traces of a project.

    Attributes:
        traces: With ids that are the same whenever they are fetched.
        cursor: What the next page follows; None after the last one.
        left_out: Of each trace that cannot be read, which it is and why.
    """

    traces: list[Trace]
    cursor: str | None
    left_out: list[str]


class Source(Protocol):
    """A place that traces are imported from; its implementations are listed in ``settings.KNOWN``.

    All methods raise ``PlatformError`` when it cannot be asked or does not answer as its documentation says.
    """

    def check(self) -> Checked:
        """See whether it is there and lets us in."""

    def project(self, name: str) -> Project | None:
        """Find a project by its name or id; None when there is none."""

    def projects(self) -> list[Project]:
        """Return the projects, some hundreds at most."""

    def page(self, project: Project, *, since: datetime | None, cursor: str | None, size: int) -> Page:
        """Fetch traces, the newest first.

        Args:
            project: Of which project.
            since: Only those begun since then.
            cursor: What they follow; None for the first page.
            size: About so many.
        """

    def close(self) -> None:
        """Close the connections."""


@contextmanager
def understood(name: str) -> Iterator[None]:
    """Raise what comes of an answer that is not as documented as what it is.

    Raises:
        PlatformError: As said.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        said = one_line(f"{type(exc).__name__}: {exc}", _SHOWN)
        raise PlatformError(f"{name}: an answer is not as its documentation says ({said})") from None


def moment(value: Any) -> datetime | None:
    """Read a time in ISO 8601; one without a zone is in UTC, and None stands for what is no time."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
