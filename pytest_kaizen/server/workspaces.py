"""What a server needs of the place where keys and traces are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..models import Trace
from ..store import Store
from .grant import Grant


class Workspaces(Protocol):
    """Keys, and a store for each workspace. Its methods may be called from any thread."""

    def check(self, key: str) -> Grant:
        """Return what a key allows.

        Raises:
            KeyRefusedError: It is unknown, has expired or was revoked.
            StoreError: The keys cannot be read.
        """
        ...

    def store(self, workspace: str) -> Store:
        """Return the store of a workspace.

        Raises:
            StoreError: It cannot be opened.
        """
        ...

    def keep(self, workspace: str, traces: Sequence[Trace]) -> None:
        """Store traces of a workspace, for good when it returns.

        Raises:
            StoreError: None of them is stored.
        """
        ...

    def probe(self) -> None:
        """Read something.

        Raises:
            StoreError: It cannot be read.
        """
        ...
