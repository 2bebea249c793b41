"""GitLab's REST API, as far as a merge request needs it."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from ...errors import ProposalError
from .github import decoded
from .rest import MakeClient, Rest

#: What the API says to a branch, and to a merge request, that is there already.
_TAKEN = (400, 409)


class GitLab:
    """One project at GitLab; see ``rest.Repository``.

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
        """Open a merge request; see ``rest.Repository``."""
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
        """Return a file as a branch has it; see ``rest.Repository``."""
        where = f"/repository/files/{quote(path, safe='')}?ref={quote(branch, safe='')}"
        found = self._rest.find_json(where)
        if found is None:
            return None
        return decoded(found.get("content") if isinstance(found, dict) else None, path)

    def commit(self, path: str, content: bytes, *, branch: str, base: str, message: str) -> None:
        """See to it that a file has this content on a branch; see ``rest.Repository``."""
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
