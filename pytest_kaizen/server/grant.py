"""What a key allows."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from ..errors import StoreError
from ..store.keys import ApiKey, KeyState, Scope
from ..store.workspaces import OpenWorkspace, Workspaces


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


def check(workspaces: Workspaces, secret: str) -> Grant:
    """Return what a key allows.

    Raises:
        KeyRefusedError: It is unknown, has expired or was revoked.
        StoreError: The keys cannot be read.
    """
    now = datetime.now(UTC)
    keys = workspaces.central.keys
    found = keys.find(secret)
    if found is None:
        raise KeyRefusedError("the key is not known here")
    state = found.state(now)
    if state is KeyState.EXPIRED:
        raise KeyRefusedError("the key has expired")
    if state is KeyState.REVOKED:
        raise KeyRefusedError("the key was revoked")
    # Once a minute. What only reads works also while nothing can be written.
    with suppress(StoreError):
        keys.note_use(found, now)
    return Grant(found, workspaces.get(found.workspace))
