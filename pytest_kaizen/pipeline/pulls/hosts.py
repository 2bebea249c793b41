"""The git hosts that there are: GitHub, GitLab, Bitbucket Server (Data Center).

Each speaks its host's REST API as far as a pull request needs it; see ``Repository``.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import quote

from ...errors import ProposalError
from . import MakeClient, Rest, plain_client, segments

#: What the API says to a branch or a pull request that is there already.
_UNPROCESSABLE = 422


class GitHub:
    """One repository at GitHub, or at a server with its API; see ``pulls.Repository``.

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
        """Return a file as a branch has it; see ``pulls.Repository``."""
        found = self._file(path, branch)
        return None if found is None else found[0]

    def commit(self, path: str, content: bytes, *, branch: str, base: str, message: str) -> None:
        """See to it that a file has this content on a branch; see ``pulls.Repository``."""
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


#: What the API says to a branch, and to a merge request, that is there already.
_TAKEN = (400, 409)


class GitLab:
    """One project at GitLab; see ``pulls.Repository``.

    Args:
        api_url: The API's base address, ``…/api/v4``.
        project: Its path, ``group/name``, or its number.
        token: Who asks.
        client: Makes what sends.
    """

    def __init__(self, api_url: str, project: str, token: str, client: MakeClient) -> None:
        url = f"{api_url.rstrip('/')}/projects/{quote(project, safe='')}"
        self._rest = Rest(url, {"PRIVATE-TOKEN": token}, token, client)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._rest.url!r})"

    def open(self, *, branch: str, base: str, title: str, text: str) -> str:
        """Open a merge request; see ``pulls.Repository``."""
        known = self._find(branch)
        if known is not None:
            return known
        asked = {
            "source_branch": branch,
            "target_branch": base,
            "title": title,
            "description": text,
            "remove_source_branch": True,
        }
        try:
            return self._page(self._rest.json("POST", "/merge_requests", json=asked))
        except ProposalError as exc:
            known = self._find(branch) if exc.status in _TAKEN else None
            if known is None:
                raise
            return known

    def read(self, path: str, branch: str) -> bytes | None:
        """Return a file as a branch has it; see ``pulls.Repository``."""
        where = f"/repository/files/{quote(path, safe='')}?ref={quote(branch, safe='')}"
        found = self._rest.find_json(where)
        if found is None:
            return None
        return decoded(found.get("content") if isinstance(found, dict) else None, path)

    def commit(self, path: str, content: bytes, *, branch: str, base: str, message: str) -> None:
        """See to it that a file has this content on a branch; see ``pulls.Repository``."""
        is_new = self._rest.find(f"/repository/branches/{quote(branch, safe='')}") is None
        there = self.read(path, base if is_new else branch)
        if there == content and not is_new:
            return
        action = {
            "action": "create" if there is None else "update",
            "file_path": path,
            "content": base64.b64encode(content).decode(),
            "encoding": "base64",
        }
        asked: dict[str, Any] = {"branch": branch, "commit_message": message, "actions": [action]}
        if is_new:
            asked["start_branch"] = base
        try:
            self._rest.json("POST", "/repository/commits", json=asked)
        except ProposalError as exc:
            # Another process may have made branch and commit just now.
            if exc.status not in _TAKEN or self.read(path, branch) != content:
                raise

    def _find(self, branch: str) -> str | None:
        found = self._rest.json("GET", "/merge_requests", params={"source_branch": branch, "state": "all"})
        if not isinstance(found, list):
            raise ProposalError(f"GET {self._rest.url}/merge_requests: the answer is no list")
        mine = [pull for pull in found if isinstance(pull, dict) and pull.get("source_branch") == branch]
        return self._page(mine[0]) if mine else None

    def _page(self, pull: Any) -> str:
        return self._rest.page(pull.get("web_url") if isinstance(pull, dict) else None, "/merge_requests")


#: What the API says to a pull request, and to a file that has changed, that is there already.
_CONFLICT = 409
#: Characters of a description; evidence that is cut stays within its fence.
_LONGEST_TEXT = 32_768
_HEADS = "refs/heads/"


class BitbucketServer:
    """One repository at a Bitbucket Server; see ``pulls.Repository``.

    Args:
        api_url: The API's base address, ``…/rest/api/1.0``.
        project: The project's key.
        repository: The repository's slug.
        token: Who asks: an HTTP access token.
        client: Makes what sends.
    """

    def __init__(self, api_url: str, project: str, repository: str, token: str, client: MakeClient) -> None:
        place = f"projects/{segments(project)}/repos/{segments(repository)}"
        # Without its header, the server takes a form for a browser's that somebody was tricked into.
        headers = {"Authorization": f"Bearer {token}", "X-Atlassian-Token": "no-check"}
        self._rest = Rest(f"{api_url.rstrip('/')}/{place}", headers, token, client)
        self._repository = {"slug": repository, "project": {"key": project}}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._rest.url!r})"

    def open(self, *, branch: str, base: str, title: str, text: str) -> str:
        """Open a pull request; see ``pulls.Repository``."""
        known = self._find(branch)
        if known is not None:
            return known
        asked = {
            "title": title,
            "description": text[:_LONGEST_TEXT],
            "fromRef": {"id": f"{_HEADS}{branch}", "repository": self._repository},
            "toRef": {"id": f"{_HEADS}{base}", "repository": self._repository},
        }
        try:
            return self._page(self._rest.json("POST", "/pull-requests", json=asked))
        except ProposalError as exc:
            known = self._find(branch) if exc.status == _CONFLICT else None
            if known is None:
                raise
            return known

    def read(self, path: str, branch: str) -> bytes | None:
        """Return a file as a branch has it; see ``pulls.Repository``."""
        return self._rest.find(f"/raw/{segments(path)}", params={"at": f"{_HEADS}{branch}"})

    def commit(self, path: str, content: bytes, *, branch: str, base: str, message: str) -> None:
        """See to it that a file has this content on a branch; see ``pulls.Repository``."""
        asked = {"branch": branch, "message": message}
        if not self._has(branch):
            asked["sourceBranch"] = base
        on = base if "sourceBranch" in asked else branch
        there = self.read(path, on)
        if there == content and on == branch:
            return
        if there is not None:
            asked["sourceCommitId"] = self._last_change(path, on)
        parts = {"content": (path.rpartition("/")[2], content)}
        try:
            self._rest.json("PUT", f"/browse/{segments(path)}", data=asked, files=parts)
        except ProposalError as exc:
            if exc.status != _CONFLICT or self.read(path, branch) != content:
                raise

    def _has(self, branch: str) -> bool:
        found = self._values("/branches", filterText=branch, boostMatches="true")
        return any(item.get("id") == f"{_HEADS}{branch}" for item in found)

    def _last_change(self, path: str, branch: str) -> str:
        found = self._values("/commits", path=path, until=f"{_HEADS}{branch}", limit="1")
        if not found or not isinstance(found[0].get("id"), str):
            raise ProposalError(f"{self._rest.url}: {path!r} has no commit on {branch!r}")
        return str(found[0]["id"])

    def _find(self, branch: str) -> str | None:
        asked = {"at": f"{_HEADS}{branch}", "direction": "OUTGOING", "state": "ALL"}
        for pull in self._values("/pull-requests", **asked):
            source = pull.get("fromRef")
            if isinstance(source, dict) and source.get("id") == f"{_HEADS}{branch}":
                return self._page(pull)
        return None

    def _values(self, path: str, /, **asked: str) -> list[dict[str, Any]]:
        """Return the first page of a list, whose best matches come first."""
        found = self._rest.json("GET", path, params=asked)
        values = found.get("values") if isinstance(found, dict) else None
        if not isinstance(values, list):
            raise ProposalError(f"GET {self._rest.url}{path}: the answer is no list")
        return [item for item in values if isinstance(item, dict)]

    def _page(self, pull: Any) -> str:
        try:
            address = pull["links"]["self"][0]["href"]
        except (KeyError, IndexError, TypeError):
            address = None
        return self._rest.page(address, "/pull-requests")
