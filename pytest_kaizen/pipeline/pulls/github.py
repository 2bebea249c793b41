"""GitHub's REST API, as far as a pull request needs it."""

from __future__ import annotations

import json
from typing import Any

import httpx

from ...errors import ProposalError
from ...platforms.base.failure import one_line

_TIMEOUT_S = 30.0
_SHOWN = 300


class GitHub:
    """Opens and finds pull requests of one repository; GitHub's own, or a server with its API.

    Args:
        api_url: Its base address.
        repository: ``owner/name``.
        token: Who asks. It goes to this address and nowhere else: no redirect is followed.
    """

    def __init__(self, api_url: str, repository: str, token: str) -> None:
        self._url = f"{api_url.rstrip('/')}/repos/{repository}/pulls"
        self._owner = repository.partition("/")[0]
        self._token = token

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def open(self, *, branch: str, base: str, title: str, text: str) -> str:
        """Open a pull request and return the address of its page; one that is open already will do.

        Raises:
            ProposalError: It could not be opened; says what the server said, without the token.
        """
        known = self.find(branch)
        if known is not None:
            return known
        asked = {"title": title, "body": text, "head": branch, "base": base}
        return self._page(self._send("POST", json=asked))

    def find(self, branch: str) -> str | None:
        """Return the address of the open pull request from a branch; None when there is none.

        Raises:
            ProposalError: The server cannot be asked.
        """
        found = self._send("GET", params={"head": f"{self._owner}:{branch}", "state": "open"})
        if not isinstance(found, list):
            raise ProposalError(f"GET {self._url}: the answer is no list of pull requests")
        # A server that does not know the filter returns them all.
        mine = [pull for pull in found if isinstance(pull, dict) and _head(pull) == branch]
        return self._page(mine[0]) if mine else None

    def _page(self, pull: Any) -> str:
        address = pull.get("html_url") if isinstance(pull, dict) else None
        if not isinstance(address, str):
            raise ProposalError(f"{self._url}: the answer is no pull request")
        return one_line(self._hidden(address), _SHOWN)

    def _send(self, method: str, **what: Any) -> Any:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token}",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "pytest-kaizen",
        }
        try:
            with httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False) as client:
                response = client.request(method, self._url, headers=headers, **what)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise ProposalError(f"{method} {self._url}: {self._hidden(str(exc) or repr(exc))}") from None
        if not response.is_success:
            said = one_line(self._hidden(_said(response)), _SHOWN)
            raise ProposalError(f"{method} {self._url}: HTTP {response.status_code}: {said}")
        try:
            return response.json()
        except ValueError:
            raise ProposalError(f"{method} {self._url}: the answer is no JSON") from None

    def _hidden(self, text: str) -> str:
        return text.replace(self._token, "[token]")


def _head(pull: dict[str, Any]) -> Any:
    head = pull.get("head")
    return head.get("ref") if isinstance(head, dict) else None


def _said(response: httpx.Response) -> str:
    """Return what an error says: the message, and what is wrong with which field."""
    try:
        body = response.json()
    except ValueError:
        return response.text or response.reason_phrase
    if not isinstance(body, dict):
        return response.text
    errors = body.get("errors")
    listed = errors if isinstance(errors, list) else []
    details = [
        item.get("message") or json.dumps(item) if isinstance(item, dict) else str(item) for item in listed
    ]
    return "; ".join([str(body.get("message", response.reason_phrase)), *details])
