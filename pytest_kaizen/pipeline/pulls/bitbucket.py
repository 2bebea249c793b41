"""The REST API of Bitbucket Server (Data Center), as far as a pull request needs it."""

from __future__ import annotations

from typing import Any

from ...errors import ProposalError
from .rest import MakeClient, Rest, segments

#: What the API says to a pull request, and to a file that has changed, that is there already.
_CONFLICT = 409
#: Characters of a description; evidence that is cut stays within its fence.
_LONGEST_TEXT = 32_768
_HEADS = "refs/heads/"


class BitbucketServer:
    """One repository at a Bitbucket Server; see ``rest.Repository``.

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
        """Open a pull request; see ``rest.Repository``."""
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
        """Return a file as a branch has it; see ``rest.Repository``."""
        return self._rest.find(f"/raw/{segments(path)}", params={"at": f"{_HEADS}{branch}"})

    def commit(self, path: str, content: bytes, *, branch: str, base: str, message: str) -> None:
        """See to it that a file has this content on a branch; see ``rest.Repository``."""
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
