"""What a key allows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class KeyScope(StrEnum):
    """What a key may do; ``admin`` may do everything."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True)
class Grant:
    """What a valid key allows.

    Attributes:
        key_id: The key's id, which is no secret.
        workspace: The one workspace that it is for.
        scopes: What it may do there.
    """

    key_id: str
    workspace: str
    scopes: frozenset[str]

    def allows(self, scope: KeyScope) -> bool:
        """Say whether it may do something."""
        return scope in self.scopes or KeyScope.ADMIN in self.scopes


class KeyRefusedError(Exception):
    """A key that is unknown, has expired or was revoked; says which."""
