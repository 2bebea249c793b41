"""A proposal → a pull request: a branch made beside the user's work, pushed, and opened at the git host.

What a git host is, and how its REST API is asked: with a token, without redirects, and with errors
that say what it said.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import quote

from ...errors import PlatformError, ProposalError
from ...platforms import error_text, one_line

if TYPE_CHECKING:
    import httpx

#: The owner's kind and the name of a task's token among the sealed secrets.
TOKEN_KIND, TOKEN_NAME = "task", "git token"
#: In the result of a job: the pull request, and what one would say.
RESULT, PREVIEW = "pull_request", "pr_preview"

#: Seconds of silence.
TIMEOUT_S = 30.0
_SHOWN = 300
#: Seconds for a whole answer, so that one that drips in holds nobody up.
_WHOLE_S = 120.0
#: Bytes of an answer, which may hold a file in base64.
_LONGEST = 8 * 1024 * 1024
_OK, _NOT_FOUND = 200, 404
_NO_TOKEN = "the token has blanks or characters outside ASCII, which no token has"

MakeClient: TypeAlias = "Callable[[], httpx.Client]"
Change: TypeAlias = Callable[[bytes | None], bytes]


class GitHost(Protocol):
    """Where pull requests are opened."""

    def open(self, *, branch: str, base: str, title: str, text: str) -> str:
        """Open a pull request and return the address of its page; one that is there already will do.

        Raises:
            ProposalError: It could not be opened.
        """
        ...


class Repository(GitHost, Protocol):
    """A repository that is read and changed through its host's API. All raise ``ProposalError``."""

    def commit(self, path: str, change: Change, *, branch: str, base: str, message: str) -> None:
        """See to it that a file is changed on a branch, which is made of the base if it is new.

        What others write meanwhile is not undone: what is committed was made of the very file that it
        follows on, and is made anew where that has changed.

        Args:
            path: The file.
            change: Makes the content of what there is, which is None for no file; made of what it has
                itself made, it is the same again.
            branch: Where to.
            base: What a new branch begins with.
            message: The commit's.
        """
        ...


def plain_client() -> httpx.Client:
    """Make a client for an address that the user's own environment names."""
    import httpx

    return httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)


def segments(path: str) -> str:
    """Write a path for a URL, its slashes kept."""
    return quote(path, safe="/")


class Rest:
    """Sends requests below one address.

    Args:
        url: The address.
        headers: Those of every request, with the token.
        token: What no message may quote. It goes to this address and nowhere else.
        client: Makes what sends.
    """

    def __init__(self, url: str, headers: dict[str, str], token: str, client: MakeClient) -> None:
        self.url = url.rstrip("/")
        self._headers = {"User-Agent": "pytest-kaizen", **headers}
        self._token = token
        self._client = client

    def json(self, method: str, path: str, **what: Any) -> Any:
        """Send a request and return the answer, which is JSON.

        Raises:
            ProposalError: There is no such answer; carries the status of an error.
        """
        return self._parsed(method, path, self._send(method, path, **what))

    def find(self, path: str, **what: Any) -> bytes | None:
        """Return what is at a path; None when nothing is. Raises as ``json`` does."""
        try:
            return self._send("GET", path, **what)
        except ProposalError as exc:
            if exc.status == _NOT_FOUND:
                return None
            raise

    def find_json(self, path: str, **what: Any) -> Any:
        """Return the JSON at a path; None when nothing is there. Raises as ``json`` does."""
        found = self.find(path, **what)
        return None if found is None else self._parsed("GET", path, found)

    def page(self, address: Any, path: str) -> str:
        """Return the address of a page as an answer has it.

        Raises:
            ProposalError: It has none.
        """
        if not isinstance(address, str) or not address.startswith(("https://", "http://")):
            raise ProposalError(f"{self.url}{path}: the answer is no pull request")
        return one_line(self._hidden(address), _SHOWN)

    def _parsed(self, method: str, path: str, content: bytes) -> Any:
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise ProposalError(f"{method} {self.url}{path}: the answer is no JSON") from None

    def _send(self, method: str, path: str, **what: Any) -> bytes:
        # A server starts without the HTTP client.
        import httpx

        from ...platforms.connections import is_visible_ascii

        where = f"{method} {self.url}{path}"
        if not is_visible_ascii(self._token):
            # The error of what sends it would quote it, written otherwise than it is.
            raise ProposalError(f"{where}: {_NO_TOKEN}")
        content = bytearray()
        until = monotonic() + _WHOLE_S
        try:
            with (
                self._client() as client,
                client.stream(method, f"{self.url}{path}", headers=self._headers, **what) as response,
            ):
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > _LONGEST:
                        raise ProposalError(f"{where}: the answer is longer than {_LONGEST} bytes")
                    if monotonic() > until:
                        raise ProposalError(f"{where}: no whole answer within {_WHOLE_S:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, PlatformError) as exc:
            raise ProposalError(f"{where}: {self._hidden(str(exc) or repr(exc))}") from None
        if not response.is_success:
            said = one_line(self._hidden(_said(bytes(content), response.reason_phrase)), _SHOWN)
            status = response.status_code
            raise ProposalError(f"{where}: HTTP {status}: {said}", status=status)
        return bytes(content)

    def _hidden(self, text: str) -> str:
        return text.replace(self._token, "[token]")


def _said(content: bytes, reason: str) -> str:
    """Return what an error says: the message, and what is wrong with which field."""
    text = content.decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text or reason
    if not isinstance(body, dict):
        return text
    errors = body.get("errors")
    listed = errors if isinstance(errors, list) else []
    details = [
        str(item.get("message") or json.dumps(item)) if isinstance(item, dict) else str(item)
        for item in listed
    ]
    message = body.get("message")
    first = error_text(body) or ("" if message is None else json.dumps(message))
    return "; ".join(filter(None, [first, *details])) or reason
