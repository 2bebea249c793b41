"""What a key allows."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from ..errors import StoreError
from ..store.keys import ApiKey, KeyState, Scope
from ..store.workspaces import OpenWorkspace, Workspaces

_KNOWN_S = 1.0


class KeyRefusedError(Exception):
    """A key that is unknown, has expired or was revoked; says which."""


class Grant(NamedTuple):
    """What a valid key allows.

    Attributes:
        key: The key.
        workspace: The one workspace that it is for; it stays open while somebody has this.
    """

    key: ApiKey
    workspace: OpenWorkspace

    def allows(self, scope: Scope) -> bool:
        """Say whether it may do something; no scope includes another."""
        return scope in self.key.scopes


class Grants:
    """Checks keys, and knows for a second what a key allows, so that most requests wait for no disk.

    A key that another process revokes is taken for so long still.

    Args:
        workspaces: Those of the server.
        clock: Gives the time in seconds.
    """

    def __init__(self, workspaces: Workspaces, clock: Callable[[], float] = time.monotonic) -> None:
        self._workspaces = workspaces
        self._clock = clock
        self._known: dict[tuple[bool, bytes], tuple[Grant, float]] = {}

    def known(self, secret: str, *, session: bool = False) -> Grant | None:
        """Return what a key, or a session, allows that was checked just now; None for any other."""
        grant, until = self._known.get((session, _hash(secret)), (None, 0.0))
        return grant if self._clock() < until else None

    def check(self, secret: str, *, session: bool = False) -> Grant:
        """Return what a key allows, or the key of a session.

        Raises:
            KeyRefusedError: It is unknown, has expired or was revoked.
            StoreError: The keys cannot be read.
        """
        now = datetime.now(UTC)
        central = self._workspaces.central
        found = central.sessions.find(secret, now) if session else central.keys.find(secret)
        if found is None:
            raise KeyRefusedError("the session has ended" if session else "the key is not known here")
        state = found.state(now)
        if state is KeyState.EXPIRED:
            raise KeyRefusedError("the key has expired")
        if state is KeyState.REVOKED:
            raise KeyRefusedError("the key was revoked")
        # Once a minute. What only reads works also while nothing can be written.
        with suppress(StoreError):
            central.keys.note_use(found, now)
        grant = Grant(found, self._workspaces.get(found.workspace))
        moment = self._clock()
        # A workspace stays open while somebody knows it.
        known = {key: entry for key, entry in self._known.items() if moment < entry[1]}
        self._known = {**known, (session, _hash(secret)): (grant, moment + _KNOWN_S)}
        return grant

    def forget(self) -> None:
        """Check every key anew: one was revoked here, or a session closed."""
        self._known = {}


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
