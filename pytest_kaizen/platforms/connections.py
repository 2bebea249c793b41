"""The connections of all clients: the key that they carry, the event loop that has them, where they may go.

Each event loop has its own, since none can use another's: a program may call ``asyncio.run`` twice
with one client; a fork leaves its child without the loop that the parent's connections belong to.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import importlib.metadata
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import httpx
from anyio.lowlevel import RunVar

from ..errors import PlatformError
from . import one_line

_Open = WeakKeyDictionary[object, httpx.AsyncClient]

_open: RunVar[_Open] = RunVar("kaizen_connections")

T = TypeVar("T")

_STOP_S = 1.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Iterable[str]]

_CONNECT_S = 5.0
#: Where clouds answer machines' questions about themselves, besides link-local addresses.
_METADATA = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
)
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
#: All that is public in IPv6; what is beside it may be a network's own way to IPv4 addresses.
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")
#: IPv6 addresses that stand for the IPv4 address in their last 32 bits.
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))


class ApiKey(httpx.Auth):
    """A key and the header it travels in.

    It is kept here and not among the client's headers, whose text shows their values.

    Args:
        key: The key; empty for requests without one.
        header: The header's name.
        scheme: What stands before the key in it, ``Bearer`` for instance.
    """

    def __init__(self, key: str, header: str, scheme: str = "") -> None:
        self._key = key
        self._header = header
        self._value = f"{scheme} {key}" if scheme else key

    def __repr__(self) -> str:
        return f"ApiKey({self._header})"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        if self._key:
            request.headers[self._header] = self._value
        yield request

    def hide_in(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self._key, "[key]") if self._key else text


def is_visible_ascii(text: str) -> bool:
    """Say whether a text can stand in a header: visible ASCII, no blanks."""
    return text.isascii() and text.isprintable() and " " not in text and text != ""


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


class BackgroundLoop:
    """Runs coroutines in a daemon thread, which starts with the first one: for calls without ``await``.

    One implementation then serves both kinds of client, and both keep a deadline that covers the whole
    call: blocking sockets have none, only one for each single read.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._of_parents: list[asyncio.AbstractEventLoop | None] = []
        atexit.register(self.stop)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_anew)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop; another one after a fork, which no thread survives."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="kaizen-http", daemon=True
                )
                self._thread.start()
            return self._loop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return what it returns, or raise what it raises.

        Whatever interrupts the waiting thread, Ctrl-C for instance, cancels the coroutine.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result()
        finally:
            future.cancel()
            # An exception refers to this frame, which would refer to the exception.
            del future

    def stop(self) -> None:
        """Close all connections, stop the thread and close its loop; a later call starts anew."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(close_all(), loop).result(_STOP_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_STOP_S)
        if not thread.is_alive():
            loop.close()

    def _begin_anew(self) -> None:
        # In a child no other thread is left, neither to run the loop nor to give the lock back. The
        # loop is kept: its end would complain of connections that are the parent's to close.
        self._lock = threading.Lock()
        self._of_parents.append(self._loop)
        self._loop = self._thread = None


BACKGROUND = BackgroundLoop()


def pinned_client(*, allow_private: bool, timeout_s: float, auth: httpx.Auth | None = None) -> httpx.Client:
    """Make an HTTP client that asks safe addresses alone, for addresses that a user of a server names.

    No redirect is followed, and no proxy of the environment asked, which would resolve the name anew.
    What it raises for other addresses is a ``PlatformError``.

    Args:
        allow_private: Addresses of private networks and of this machine are safe too: the operator, or
            who typed the command, says so.
        timeout_s: Seconds of silence while an answer is awaited or read.
        auth: What is added to each request.
    """
    return httpx.Client(
        transport=PinnedTransport(allow_private=allow_private),
        auth=auth,
        follow_redirects=False,
        headers={"User-Agent": user_agent()},
        timeout=httpx.Timeout(timeout_s, connect=_CONNECT_S),
        trust_env=False,
    )


class PinnedTransport(httpx.BaseTransport):
    """Sends requests to the addresses that their hosts resolved to the first time, if these are safe.

    A name is resolved once, what it resolves to is checked, and the connection is made to that very
    address, so that a name which changes its mind in between (DNS rebinding) leads nowhere. Certificates
    are checked against the name all the same.

    Args:
        allow_private: As for ``pinned_client``.
        resolve: Returns the addresses of a host and port.
    """

    def __init__(self, *, allow_private: bool, resolve: Resolve | None = None) -> None:
        self._allow_private = allow_private
        self._resolve = resolve or addresses_of
        self._addresses: dict[tuple[str, int], list[Address]] = {}
        # One for each host: a connection whose certificate was checked for one host is none for another
        # at the same address.
        self._below: dict[str, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            PlatformError: Its host has no address, or one that is not safe.
        """
        host = request.url.raw_host.decode("ascii")
        port = request.url.port or {"https": 443}.get(request.url.scheme, 80)
        if request.url.scheme not in ("http", "https"):
            raise PlatformError(f"not sent: {request.url.scheme!r} is neither http nor https")
        known = self._addresses.get((host, port))
        if known is None:
            known = safe_addresses(host, self._resolve(host, port), allow_private=self._allow_private)
            self._addresses[host, port] = known
        below = self._below.get(host)
        if below is None:
            below = self._below[host] = httpx.HTTPTransport(verify=certificates())
        failed: httpx.TransportError | None = None
        for address in known:
            try:
                return below.handle_request(_pinned(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
                failed = exc
        assert failed is not None
        raise failed

    def close(self) -> None:
        """Close the connections."""
        for below in self._below.values():
            below.close()


def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system resolves it.

    Raises:
        PlatformError: There are none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise PlatformError(f"{_shown(host)} is not the name of any machine", transient=True) from None
    return list(dict.fromkeys(str(place[4][0]) for place in found))


def safe_addresses(host: str, found: Iterable[str], *, allow_private: bool) -> list[Address]:
    """Return the addresses of a host, each of which is safe.

    Args:
        host: The host, for messages.
        found: What it resolves to.
        allow_private: As for ``pinned_client``.

    Raises:
        PlatformError: One is not: then none is taken.
    """
    addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
    for address in addresses:
        problem = why_refused(address, allow_private=allow_private)
        if problem is not None:
            raise PlatformError(f"not sent: {_shown(host)} is at {address}, {problem}")
    if not addresses:
        raise PlatformError(f"{_shown(host)} is not the name of any machine", transient=True)
    return addresses


def why_refused(address: Address, *, allow_private: bool) -> str | None:
    """Say why nothing is sent to an address; None where something may be.

    Args:
        address: The address; one that stands for an IPv4 address is judged as that one.
        allow_private: As for ``pinned_client``.
    """
    address = _meant(address)
    if address.is_link_local or address in _METADATA:
        return "where clouds keep their machines' credentials"
    if address.is_multicast:
        return "which is many machines (multicast)"
    if (
        address.is_unspecified
        or address in _THIS_NETWORK
        or address == ipaddress.ip_address("255.255.255.255")
    ):
        return "which is no machine's address"
    is_public = address.is_global and (address.version == 4 or address in _PUBLIC_V6)
    if not is_public and not allow_private:
        return "in a private network; the operator of the server may allow these: --allow-private-hosts"
    return None


def _meant(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address leads to, else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _TRANSLATED) and int(address) > 1:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _pinned(request: httpx.Request, address: Address) -> httpx.Request:
    # The header Host is the name's already; the certificate is to be as well.
    return httpx.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")},
    )


def _shown(host: str) -> str:
    return repr(one_line(host, 100))
