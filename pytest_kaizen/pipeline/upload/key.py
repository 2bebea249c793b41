"""The key of a backend."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import PlatformError


def key_from(env: Mapping[str, str], variable: str) -> str:
    """Return the key that a variable of the environment holds.

    Raises:
        PlatformError: It holds none.
    """
    key = env.get(variable, "").strip()
    if not key:
        raise PlatformError(f"no key: set {variable} in the environment")
    return key
