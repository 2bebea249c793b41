"""Git's plumbing: it is told what to do and has no say about the user's files."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ...errors import ProposalError

#: Seconds for one command; those that talk to a remote wait for a network.
_TIMEOUT_S = 120.0
_SHOWN = 400


class Git:
    """Runs git in a checkout, without its hooks and without asking anybody anything.

    Args:
        folder: Where.
        server: The address of the git host that the token is for, such as ``https://github.com``.
        token: Goes along with requests to that server, in the environment: not in an address, which
            git would write to its files and print, and not in the arguments, which all can read.
    """

    def __init__(self, folder: Path, *, server: str = "", token: str = "") -> None:
        self._folder = folder
        self._secrets = [token, _basic(token)] if token else []
        # What traces git's requests would print the header.
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GIT_TRACE", "GIT_CURL_VERBOSE", "GIT_INDEX_FILE"))
        }
        self._environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        if token and server:
            self._configure(f"http.{server.rstrip('/')}/.extraheader", _basic(token))

    def __call__(
        self, *arguments: str, given: bytes | None = None, environment: Mapping[str, str] | None = None
    ) -> bytes:
        """Run a command and return what it printed.

        Raises:
            ProposalError: It failed, took too long, or there is no git; without the token.
        """
        what = f"git {arguments[0]}"
        try:
            done = subprocess.run(
                ["git", *arguments],
                cwd=self._folder,
                env={**self._environment, **(environment or {})},
                input=given,
                stdin=subprocess.DEVNULL if given is None else None,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
                # Without a terminal, ssh cannot wait for a password.
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise ProposalError(f"{what}: not done within {_TIMEOUT_S:g} s") from None
        except OSError as exc:
            raise ProposalError(f"{what}: {exc}") from None
        if done.returncode:
            said = " ".join(self.hidden(done.stderr.decode("utf-8", "replace")).split())
            raise ProposalError(f"{what}: {said[:_SHOWN] or f'exit status {done.returncode}'}")
        return done.stdout

    def line(self, *arguments: str) -> str:
        """Run a command that prints one line, and return it; raises as a call does."""
        return self(*arguments).decode("utf-8", "replace").strip()

    def hidden(self, text: str) -> str:
        """Take the token out of a text."""
        for secret in self._secrets:
            text = text.replace(secret, "[token]")
        return text

    def _configure(self, key: str, value: str) -> None:
        """Add a header; an empty one first, because two of a kind are refused by the server."""
        count = int(self._environment.get("GIT_CONFIG_COUNT") or 0)
        for number, header in enumerate(("", f"Authorization: Basic {value}"), count):
            self._environment[f"GIT_CONFIG_KEY_{number}"] = key
            self._environment[f"GIT_CONFIG_VALUE_{number}"] = header
        self._environment["GIT_CONFIG_COUNT"] = str(count + 2)


def _basic(token: str) -> str:
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()
