"""The git hosts that there are: GitHub, GitLab, Bitbucket Server (Data Center).

Each speaks its host's REST API as far as a pull request needs it; see ``Repository``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Collection
from functools import partial
from typing import Any
from urllib.parse import quote

from ...errors import ProposalError
from . import Change, MakeClient, Rest, plain_client, segments

#: How often a file is read and changed before whoever is quicker each time is told of.
_ATTEMPTS = 3

#: What the API says to a branch or a pull request that is there already.
_UNPROCESSABLE = 422
#: What the API says to a file that has changed.
_CONFLICT = 409

#: What the API says to a branch or a merge request that is there already, and to a file that has changed.
_TAKEN = (400, 409)

#: Characters of a description; evidence that is cut stays within its fence.
_LONGEST_TEXT = 32_768
_HEADS = "refs/heads/"


def _retried(commit: Callable[[], None], overtaken: Collection[int]) -> None:
    """Read and commit, and do so anew while the host says that somebody else has written meanwhile.

    Raises:
        ProposalError: It failed for another reason, or each time.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            commit()
        except ProposalError as exc:
            if exc.status not in overtaken:
                raise
        else:
            return
    commit()


def _required(tip: str | None, branch: str, rest: Rest) -> str:
    """Return a branch's last commit.

    Raises:
        ProposalError: There is none.
    """
    if tip is None:
        raise ProposalError(
            f"{rest.url}: there is no branch {branch!r}, or the token may not see the repository"
        )
    return tip


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

    def commit(self, path: str, change: Change, *, branch: str, base: str, message: str) -> None:
        """See to it that a file is changed on a branch; see ``pulls.Repository``."""
        once = partial(self._commit, path, change, branch, base, message)
        _retried(once, (_CONFLICT, _UNPROCESSABLE))

    def _commit(self, path: str, change: Change, branch: str, base: str, message: str) -> None:
        tip = self._tip(branch)
        start = tip or _required(self._tip(base), base, self._rest)
        there = self._file(path, start)
        content = change(None if there is None else there[0])
        if tip is None:
            # Of the commit that was read, whatever the base has become meanwhile.
            self._rest.json("POST", "/git/refs", json={"ref": f"refs/heads/{branch}", "sha": start})
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

    def _file(self, path: str, commit: str) -> tuple[bytes, str] | None:
        """Return a file as a commit has it, and the id of its content."""
        found = self._rest.find_json(f"/contents/{segments(path)}?ref={quote(commit, safe='')}")
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

    def commit(self, path: str, change: Change, *, branch: str, base: str, message: str) -> None:
        """See to it that a file is changed on a branch; see ``pulls.Repository``."""
        _retried(partial(self._commit, path, change, branch, base, message), _TAKEN)

    def _commit(self, path: str, change: Change, branch: str, base: str, message: str) -> None:
        tip = self._tip(branch)
        start = tip or _required(self._tip(base), base, self._rest)
        there = self._file(path, start)
        content = change(None if there is None else there[0])
        if tip is not None and there is not None and there[0] == content:
            return
        action = {
            "action": "create" if there is None else "update",
            "file_path": path,
            "content": base64.b64encode(content).decode(),
            "encoding": "base64",
        }
        asked: dict[str, Any] = {"branch": branch, "commit_message": message, "actions": [action]}
        if tip is None:
            asked["start_sha"] = start
        elif there is not None:
            action["last_commit_id"] = there[1]
        self._rest.json("POST", "/repository/commits", json=asked)

    def _tip(self, branch: str) -> str | None:
        found = self._rest.find_json(f"/repository/branches/{quote(branch, safe='')}")
        try:
            return None if found is None else str(found["commit"]["id"])
        except (KeyError, TypeError):
            raise ProposalError(f"{self._rest.url}: the branch {branch!r} has no commit") from None

    def _file(self, path: str, commit: str) -> tuple[bytes, str] | None:
        """Return a file as a commit has it, and the last commit that changed it."""
        found = self._rest.find_json(f"/repository/files/{quote(path, safe='')}?ref={quote(commit, safe='')}")
        if found is None:
            return None
        if not isinstance(found, dict):
            raise ProposalError(f"{self._rest.url}: {path!r} is no file that can be read")
        return decoded(found.get("content"), path), str(found.get("last_commit_id"))

    def _find(self, branch: str) -> str | None:
        found = self._rest.json("GET", "/merge_requests", params={"source_branch": branch, "state": "all"})
        if not isinstance(found, list):
            raise ProposalError(f"GET {self._rest.url}/merge_requests: the answer is no list")
        mine = [pull for pull in found if isinstance(pull, dict) and pull.get("source_branch") == branch]
        return self._page(mine[0]) if mine else None

    def _page(self, pull: Any) -> str:
        return self._rest.page(pull.get("web_url") if isinstance(pull, dict) else None, "/merge_requests")


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

    def commit(self, path: str, change: Change, *, branch: str, base: str, message: str) -> None:
        """See to it that a file is changed on a branch; see ``pulls.Repository``."""
        _retried(partial(self._commit, path, change, branch, base, message), (_CONFLICT,))

    def _commit(self, path: str, change: Change, branch: str, base: str, message: str) -> None:
        tip = self._tip(branch)
        start = tip or _required(self._tip(base), base, self._rest)
        there = self._rest.find(f"/raw/{segments(path)}", params={"at": start})
        content = change(there)
        if tip is not None and there == content:
            return
        asked = {"branch": branch, "message": message}
        if tip is None:
            asked["sourceBranch"] = base
        if there is not None:
            # The server refuses what was made of a file that has changed since.
            asked["sourceCommitId"] = self._last_change(path, start)
        parts = {"content": (path.rpartition("/")[2], content)}
        self._rest.json("PUT", f"/browse/{segments(path)}", data=asked, files=parts)

    def _tip(self, branch: str) -> str | None:
        found = self._values("/branches", filterText=branch, boostMatches="true")
        mine = [item for item in found if item.get("id") == f"{_HEADS}{branch}"]
        if not mine:
            return None
        if not isinstance(mine[0].get("latestCommit"), str):
            raise ProposalError(f"{self._rest.url}: the branch {branch!r} has no commit")
        return str(mine[0]["latestCommit"])

    def _last_change(self, path: str, commit: str) -> str:
        found = self._values("/commits", path=path, until=commit, limit="1")
        if not found or not isinstance(found[0].get("id"), str):
            raise ProposalError(f"{self._rest.url}: {path!r} has no commit up to {commit}")
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
