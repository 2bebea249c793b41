"""What a server needs of the place where keys and traces are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from ..store import Store
from .grant import Grant

T = TypeVar("T")


class Workspaces(Protocol):
    """Keys, and a store for each workspace."""

    def check(self, key: str) -> Grant:
        """Return what a key allows; from any thread.

        Raises:
            KeyRefusedError: It is unknown, has expired or was revoked.
            StoreError: The keys cannot be read.
        """
        ...

    def store(self, workspace: str) -> Store:
        """Return the store of a workspace, to read from any thread.

        Raises:
            StoreError: It cannot be opened.
        """
        ...

    async def write(self, workspace: str, work: Callable[[Store], T]) -> T:
        """Do work in one transaction; return its result when it is durable.

        Args:
            workspace: Whose store is written to.
            work: Reads and writes the store that it is given, in a thread, perhaps more than once.

        Raises:
            StoreError: Nothing of it is stored.
        """
        ...

    def probe(self) -> None:
        """Read something.

        Raises:
            StoreError: It cannot be read.
        """
        ...
