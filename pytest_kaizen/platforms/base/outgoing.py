"""Requests to addresses that a user of a server names: where they may go, and that they go nowhere else.

A name is resolved once, what it resolves to is checked, and the connection is made to that very
address, so that a name which changes its mind in between (DNS rebinding) leads nowhere. Certificates
are checked against the name all the same. No redirect is followed, and no proxy of the environment
asked, which would resolve the name anew.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable

import httpx

from ...errors import PlatformError
from .connections import certificates, user_agent
from .failure import one_line

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


def client(*, allow_private: bool, timeout_s: float, auth: httpx.Auth | None = None) -> httpx.Client:
    """Make an HTTP client that asks safe addresses alone.

    What it raises for others is a ``PlatformError``.

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

    Args:
        allow_private: As for ``client``.
        resolve: Returns the addresses of a host and port.
    """

    def __init__(self, *, allow_private: bool, resolve: Resolve | None = None) -> None:
        self._allow_private = allow_private
        self._resolve = resolve or resolved
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


def resolved(host: str, port: int) -> list[str]:
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
        allow_private: As for ``client``.

    Raises:
        PlatformError: One is not: then none is taken.
    """
    addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
    for address in addresses:
        problem = refused(address, allow_private=allow_private)
        if problem is not None:
            raise PlatformError(f"not sent: {_shown(host)} is at {address}, {problem}")
    if not addresses:
        raise PlatformError(f"{_shown(host)} is not the name of any machine", transient=True)
    return addresses


def refused(address: Address, *, allow_private: bool) -> str | None:
    """Say why nothing is sent to an address; None where something may be.

    Args:
        address: The address; one that stands for an IPv4 address is judged as that one.
        allow_private: As for ``client``.
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
