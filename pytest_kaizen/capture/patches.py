"""Attributes that are replaced for a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_INHERITED = object()


class Patches:
    """Replaces attributes of classes, and puts them back."""

    def __init__(self) -> None:
        self._done: list[tuple[type[Any], str, Any, Any]] = []

    def replace(self, owner: type[Any], name: str, replacement: Callable[..., Any]) -> None:
        """Replace an attribute of a class."""
        before = vars(owner).get(name, _INHERITED)
        setattr(owner, name, replacement)
        self._done.append((owner, name, replacement, before))

    def undo(self) -> None:
        """Put everything back, last first; what somebody else has replaced since stays theirs."""
        while self._done:
            owner, name, replacement, before = self._done.pop()
            if vars(owner).get(name) is not replacement:
                continue
            if before is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, before)
