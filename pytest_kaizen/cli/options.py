"""Options that many commands take: the server to work on, how long a list is, numbers.

A server is named on the command line, never by the environment alone. A group that speaks the API of
a platform declares the options and asks where to go::

    add_target_options(parser)
    ...
    target = target_of(args, "kaizen-ct")
    if target is None:
        ...  # the store of this machine
    else:
        with target.speaking(), CTClient(target.key, target.url) as client:
            ...

``speaking`` makes one clear line of whatever goes wrong, which ends the command with exit status 1.
``cli.desks`` has all that behind one call for each platform.
"""

from __future__ import annotations

import argparse
import getpass
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, NoReturn
from urllib.parse import urlsplit

from ..errors import PlatformError, UsageError
from .configuration import config_for

#: The most that a list has where nothing else is said.
LIST_LIMIT = 50

#: What the base URL of a platform has after the address of the server, where that is not nothing.
_PATHS = {"kayba": "/api"}
#: Whose key is that of a server of ours, on which all platforms are one.
_OWN = "kaizen-ct"

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kMGT]?)B?", re.IGNORECASE)
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class Target(NamedTuple):
    """A server, as one platform's client is to speak to it.

    Attributes:
        url: The base URL of the platform's API there, without a slash at its end.
        key: The key.
        key_from: Where the key comes from: an option or a variable of the environment.
    """

    url: str
    key: str
    key_from: str

    def __repr__(self) -> str:
        return f"Target({self.url!r}, key from {self.key_from})"

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Say clearly what went wrong with a call in the block.

        Raises:
            PlatformError: A call failed; the message names the server and, for a key that is not taken
                (401) or may not do this (403), where the key came from.
        """
        try:
            yield
        except PlatformError as exc:
            raise PlatformError(self._said(exc), exc.status_code, exc.detail) from exc

    def _said(self, exc: PlatformError) -> str:
        if exc.status_code in (401, 403) and self.key:
            problem = "does not take the key" if exc.status_code == 401 else "does not let the key do this"
            return f"{self.url} {problem} ({self.key_from}): {exc.message}"
        if self.url in exc.message:
            return exc.message
        status = "" if exc.status_code is None else f"{exc.status_code}: "
        return f"{self.url}: {status}{exc.message}"


def add_target_options(*parsers: argparse.ArgumentParser) -> None:
    """Declare on commands that they can work on a server."""
    for parser in parsers:
        group = parser.add_argument_group("on a server, in the place of the store on this machine")
        where = group.add_mutually_exclusive_group()
        where.add_argument("--server", type=_url, metavar="URL", help="a server of `kaizen serve`")
        where.add_argument(
            "--base-url", type=_url, metavar="URL", help="a platform's API, as its own client takes it"
        )
        group.add_argument("--api-key", metavar="KEY", help="its key (default: from the environment)")


def target_of(args: argparse.Namespace, backend: str, *, needs_key: bool = True) -> Target | None:
    """Return the server that a command is to work on; None for the store on this machine.

    The key is ``--api-key``, else it is in the environment: for ``--base-url`` under the platform's
    variable (``backends.NAME.key_env`` in ``kaizen.yaml``), for ``--server`` under that of Kaizen CT
    before it: ``KAIZEN_API_KEY``, unless it is configured otherwise.

    Args:
        args: The parsed arguments.
        backend: Whose API the command speaks, by its name under ``backends``.
        needs_key: Without it the key is what ``--api-key`` says, and empty where that says nothing.

    Raises:
        UsageError: There is a key, and no server.
        PlatformError: There is a server, and no key.
        ConfigError: A setting is wrong.
    """
    if not is_remote(args):
        return None
    given: str = args.server or args.base_url
    path = _PATHS.get(backend, "") if args.server else ""
    url = given if given.endswith(path) else f"{given}{path}"
    variables = _variables(args, backend)
    if args.api_key is not None:
        # An empty one would make the client look for another in the environment.
        if not args.api_key.strip():
            raise UsageError("--api-key is empty")
        return Target(url, args.api_key, "--api-key")
    if not needs_key:
        return Target(url, "", "none")
    for variable in variables:
        if key := os.environ.get(variable, "").strip():
            return Target(url, key, variable)
    raise PlatformError(f"no key for {url}: give --api-key, or set {' or '.join(variables)}")


def is_remote(args: argparse.Namespace) -> bool:
    """Say whether a server was named.

    Raises:
        UsageError: There is a key, and no server.
    """
    if args.server or args.base_url:
        return True
    if args.api_key is not None:
        raise UsageError("--api-key is for a server; name it: --server URL or --base-url URL")
    return False


def target_flags(args: argparse.Namespace) -> str:
    """Return what a command that is suggested needs to work on the same server: `` --server URL``."""
    if args.server:
        return f" --server {args.server}"
    return f" --base-url {args.base_url}" if args.base_url else ""


def _variables(args: argparse.Namespace, backend: str) -> list[str]:
    backends = config_for(args).backends
    names = [_OWN, backend] if args.server else [backend]
    settings = [getattr(backends, name.replace("-", "_")) for name in names]
    return list(dict.fromkeys(found.key_env for found in settings))


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        # Reading the port is what finds it wrong.
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        fine = fine and not (parts.query or parts.fragment)
    except ValueError:
        fine = False
    if not fine or "@" in text:
        # It may hold a password.
        shown = text.rpartition("@")[2]
        raise argparse.ArgumentTypeError(
            f"expected http://HOST… or https://HOST… without a user or a query (found {shown!r})"
        )
    return text.rstrip("/")


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """Declare what every list takes."""
    parser.add_argument(
        "--limit", type=count, default=LIST_LIMIT, metavar="N", help=f"at most N (default: {LIST_LIMIT})"
    )
    parser.add_argument("--json", action="store_true", help="as a JSON array")


def secret_of(option: str, source: str) -> str:
    """Return a secret, which no list of processes is to show.

    Args:
        option: Who asks, for messages.
        source: The variable of the environment that holds it; ``-`` asks for it, or reads a line.

    Raises:
        UsageError: There is none.
    """
    if source == "-":
        given = getpass.getpass("token or key: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    else:
        given = os.environ.get(source, "")
    if not given:
        raise UsageError(f"{option}: {'nothing was given' if source == '-' else f'${source} is not set'}")
    return given


def count(text: str) -> int:
    """Parse a whole number, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        _refuse("a whole number, 1 or more", text)
    return int(text)


def dollars(text: str) -> float:
    """Parse an amount of money."""
    return _above_zero("an amount in US dollars above 0", text)


def seconds(text: str) -> float:
    """Parse a time."""
    return _above_zero("seconds above 0", text)


def days(text: str) -> float:
    """Parse a time in days, a hundred years at most."""
    what = "days above 0 and up to 36500"
    value = _above_zero(what, text)
    if value > 36_500:
        _refuse(what, text)
    return value


def share(text: str) -> float:
    """Parse a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        _refuse("a number from 0 to 1", text)
    return value


def size(text: str) -> int:
    """Parse a number of bytes: ``500MB``, ``1.5 GB``, ``4096``."""
    found = _SIZE.fullmatch(text)
    value = int(float(found[1]) * _BYTES[found[2].lower()]) if found else 0
    if value < 1:
        _refuse("a size, 500MB or 20GB for instance", text)
    return value


def _above_zero(what: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        _refuse(what, text)
    return value


def _refuse(expected: str, found: str) -> NoReturn:
    raise argparse.ArgumentTypeError(f"expected {expected} (found {found!r})")
