"""GitHub's REST API, as far as a pull request needs it."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import quote

from ...errors import ProposalError
from .rest import MakeClient, Rest, plain_client, segments

#: What the API says to a branch or a pull request that is there already.
_UNPROCESSABLE = 422


class GitHub:
    """One repository at GitHub, or at a server with its API; see ``rest.Repository``.

    Args:
        api_url: The API's base address.
        repository: ``owner/name``.
        token: Who asks.
        client: Makes what sends.
        state: Of the pull requests that keep a second one out: ``open`` or ``all``.
    """

    def __init__(
        self,
        api_url: str,
        repository: str,
        token: str,
        client: MakeClient = plain_client,
        state: str = "open",
    ) -> None:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self._rest = Rest(f"{api_url.rstrip('/')}/repos/{segments(repository)}", headers, token, client)
        self._owner = repository.partition("/")[0]
        self._state = state

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._rest.url!r})"

    def open(self, *, branch: str, base: str, title: str, text: str) -> str:
        """Open a pull request and return the address of its page; one that is there already will do.

        Raises:
            ProposalError: It could not be opened; says what the server said, without the token.
        """
        known = self.find(branch)
        if known is not None:
            return known
        asked = {"title": title, "body": text, "head": branch, "base": base}
        try:
            return self._page(self._rest.json("POST", "/pulls", json=asked))
        except ProposalError as exc:
            # Another process may have opened it just now.
            known = self.find(branch) if exc.status == _UNPROCESSABLE else None
            if known is None:
                raise
            return known

    def find(self, branch: str) -> str | None:
        """Return the address of the pull request from a branch; None when there is none.

        Raises:
            ProposalError: The server cannot be asked.
        """
        asked = {"head": f"{self._owner}:{branch}", "state": self._state}
        found = self._rest.json("GET", "/pulls", params=asked)
        if not isinstance(found, list):
            raise ProposalError(f"GET {self._rest.url}/pulls: the answer is no list of pull requests")
        # A server that does not know the filter returns them all.
        mine = [pull for pull in found if isinstance(pull, dict) and _head(pull) == branch]
        return self._page(mine[0]) if mine else None

    def read(self, path: str, branch: str) -> bytes | None:
        """Return a file as a branch has it; see ``rest.Repository``."""
        found = self._file(path, branch)
        return None if found is None else found[0]

    def commit(self, path: str, content: bytes, *, branch: str, base: str, message: str) -> None:
        """See to it that a file has this content on a branch; see ``rest.Repository``."""
        if self._tip(branch) is None:
            tip = self._tip(base)
            if tip is None:
                raise ProposalError(
                    f"{self._rest.url}: there is no branch {base!r}, or the token may not see the repository"
                )
            try:
                self._rest.json("POST", "/git/refs", json={"ref": f"refs/heads/{branch}", "sha": tip})
            except ProposalError as exc:
                if exc.status != _UNPROCESSABLE or self._tip(branch) is None:
                    raise
        there = self._file(path, branch)
        if there is not None and there[0] == content:
            return
        asked = {"message": message, "content": base64.b64encode(content).decode(), "branch": branch}
        if there is not None:
            asked["sha"] = there[1]
        self._rest.json("PUT", f"/contents/{segments(path)}", json=asked)

    def _tip(self, branch: str) -> str | None:
        found = self._rest.find_json(f"/git/ref/heads/{segments(branch)}")
        try:
            return None if found is None else str(found["object"]["sha"])
        except (KeyError, TypeError):
            raise ProposalError(f"{self._rest.url}: the branch {branch!r} has no commit") from None

    def _file(self, path: str, branch: str) -> tuple[bytes, str] | None:
        found = self._rest.find_json(f"/contents/{segments(path)}?ref={quote(branch, safe='')}")
        if found is None:
            return None
        if not isinstance(found, dict) or found.get("type") != "file" or found.get("encoding") != "base64":
            raise ProposalError(f"{self._rest.url}: {path!r} is no file that can be read")
        return decoded(found.get("content"), path), str(found.get("sha"))

    def _page(self, pull: Any) -> str:
        return self._rest.page(pull.get("html_url") if isinstance(pull, dict) else None, "/pulls")


def decoded(content: object, path: str) -> bytes:
    """Return what a file's text in base64 stands for.

    Raises:
        ProposalError: It is none.
    """
    try:
        return base64.b64decode(str(content))
    except binascii.Error:
        raise ProposalError(f"the git host's answer for {path!r} is no file") from None


def _head(pull: dict[str, Any]) -> Any:
    head = pull.get("head")
    return head.get("ref") if isinstance(head, dict) else None
