"""The connections of all clients: each event loop has its own, since none can use another's.

A program may call ``asyncio.run`` twice with one client; a fork leaves its child without the loop
that the parent's connections belong to.
"""

from __future__ import annotations

import functools
import importlib.metadata
import ssl
from collections.abc import Callable
from weakref import WeakKeyDictionary

import httpx
from anyio.lowlevel import RunVar

_Open = WeakKeyDictionary[object, httpx.AsyncClient]

_open: RunVar[_Open] = RunVar("kaizen_connections")


def connections_of(owner: object, make: Callable[[], httpx.AsyncClient]) -> httpx.AsyncClient:
    """Return an owner's connections in the running loop, made on first use."""
    known: _Open | None = _open.get(None)
    if known is None:
        known = WeakKeyDictionary()
        _open.set(known)
    if owner not in known:
        known[owner] = make()
    return known[owner]


async def close_of(owner: object) -> None:
    """Close an owner's connections in the running loop."""
    http = _open.get(_Open()).pop(owner, None)
    if http is not None:
        await http.aclose()


async def close_all() -> None:
    """Close all connections in the running loop."""
    for owner in list(_open.get(_Open())):
        await close_of(owner)


@functools.cache
def certificates() -> ssl.SSLContext:
    """Return whom to trust; reading it takes some 50 ms, in which a loop stands still."""
    return httpx.create_ssl_context()


@functools.cache
def user_agent() -> str:
    """Return what we call ourselves."""
    return f"pytest-kaizen/{importlib.metadata.version('pytest-kaizen')}"
