"""Local servers in the shapes of the public REST documentation of GitHub, GitLab and Bitbucket Server.

Each has one repository, ``acme/shop``, in memory, and takes one token. They refuse what the real ones
refuse: a branch that is there, a file that has changed, a second pull request from a branch.
"""

from __future__ import annotations

import base64
import email
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "token-0123456789abcdefghijklmnop"
Answer = tuple[int, Any]


class FakeHost:
    """A git host.

    Attributes:
        branches: The files of each branch.
        pulls: Branch, base, title and text of each pull request.
        asked: Method and path of each request.
        refuses: The status of the next answers to whoever opens a pull request.
        silent_after: After so many requests, what is asked for is done and nobody hears of it.
        commits: The files of each commit that was told of.
        begun: The files that each new branch began with.
        meanwhile: Called after each request with the number of those that came.
    """

    provider = ""
    header, credential = "Authorization", f"Bearer {TOKEN}"

    def __init__(self, files: dict[str, str]) -> None:
        self.url = ""
        self.branches = {"main": {path: text.encode() for path, text in files.items()}}
        self.pulls: list[dict[str, str]] = []
        self.asked: list[str] = []
        self.messages: list[str] = []
        self.refuses: list[int] = []
        self.silent_after: int | None = None
        self.commits: dict[str, dict[str, bytes]] = {}
        self.begun: dict[str, dict[str, bytes]] = {}
        self.meanwhile: Callable[[int], None] = lambda _count: None
        self.lock = threading.Lock()

    @property
    def fields(self) -> dict[str, Any]:
        """A task's fields that lead here."""
        return {"git_provider": self.provider, "git_base_url": self.url, "git_token_raw": TOKEN}

    def file(self, branch: str, path: str) -> str:
        return self.branches[branch][path].decode()

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        raise NotImplementedError

    def tip(self, branch: str) -> str | None:
        """Return a branch's last commit; None for one that is not there."""
        files = self.branches.get(branch)
        if files is None:
            return None
        commit = sha(repr(files).encode())
        self.commits[commit] = dict(files)
        return commit

    def at(self, name: str) -> dict[str, bytes]:
        """Return the files of a branch or commit."""
        return self.branches.get(name.removeprefix("refs/heads/")) or self.commits.get(name, {})

    def begin(self, branch: str, files: dict[str, bytes]) -> None:
        self.begun[branch] = dict(files)
        self.branches[branch] = dict(files)

    def propose(self, branch: str, base: str, title: str, text: str) -> str | None:
        """Open a pull request; None when there is one."""
        assert branch in self.branches
        assert base in self.branches
        if any(pull["branch"] == branch for pull in self.pulls):
            return None
        self.pulls.append({"branch": branch, "base": base, "title": title, "text": text})
        return self.page(len(self.pulls))

    def page(self, number: int) -> str:
        return f"https://git.example/acme/shop/pull/{number}"

    def of(self, branch: str) -> list[tuple[int, dict[str, str]]]:
        return [(number, pull) for number, pull in enumerate(self.pulls, 1) if pull["branch"] == branch]


def sha(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


class FakeGitHub(FakeHost):
    provider = "github"
    root = "/api/v3/repos/acme/shop"

    @property
    def fields(self) -> dict[str, Any]:
        return {**super().fields, "git_repo": "acme/shop"}

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        if method == "GET" and path.startswith("/git/ref/heads/"):
            tip = self.tip(path.removeprefix("/git/ref/heads/"))
            if tip is None:
                return 404, {"message": "Not Found"}
            return 200, {"object": {"type": "commit", "sha": tip}}
        if (method, path) == ("POST", "/git/refs"):
            name = body["ref"].removeprefix("refs/heads/")
            if name in self.branches:
                return 422, {"message": "Reference already exists"}
            self.begin(name, self.commits[body["sha"]])
            return 201, {"ref": body["ref"]}
        if path.startswith("/contents/"):
            return self._contents(method, path.removeprefix("/contents/"), query, body)
        if (method, path) == ("GET", "/pulls"):
            assert query["state"] == "all"
            found = self.of(query["head"].removeprefix("acme:"))
            return 200, [{"html_url": self.page(n), "head": {"ref": pull["branch"]}} for n, pull in found]
        if (method, path) == ("POST", "/pulls"):
            made = self.propose(body["head"], body["base"], body["title"], body["body"])
            if made is None:
                there = "A pull request already exists for acme:x."
                return 422, {"message": "Validation Failed", "errors": [{"message": there}]}
            return 201, {"html_url": made, "head": {"ref": body["head"]}}
        return 404, {"message": "Not Found"}

    def _contents(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        if method == "GET":
            content = self.at(query["ref"]).get(path)
            if content is None:
                return 404, {"message": "Not Found"}
            text = base64.encodebytes(content).decode()
            return 200, {"type": "file", "encoding": "base64", "content": text, "sha": sha(content)}
        there = self.branches[body["branch"]].get(path)
        if (there and sha(there)) != body.get("sha"):
            return 409, {"message": f"{path} does not match"}
        self.branches[body["branch"]][path] = base64.b64decode(body["content"])
        self.messages.append(body["message"])
        return 200 if there else 201, {"commit": {"sha": "c"}}


class FakeGitLab(FakeHost):
    provider = "gitlab"
    root = "/api/v4/projects/acme%2Fshop"
    header, credential = "PRIVATE-TOKEN", TOKEN

    @property
    def fields(self) -> dict[str, Any]:
        return {**super().fields, "git_project": "acme", "git_repo": "shop"}

    def page(self, number: int) -> str:
        return f"https://git.example/acme/shop/-/merge_requests/{number}"

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        if path.startswith("/repository/branches/"):
            name = unquote(path.removeprefix("/repository/branches/"))
            tip = self.tip(name)
            if tip is None:
                return 404, {"message": "404 Branch Not Found"}
            return 200, {"name": name, "commit": {"id": tip}}
        if path.startswith("/repository/files/"):
            name = unquote(path.removeprefix("/repository/files/"))
            content = self.at(query["ref"]).get(name)
            if content is None:
                return 404, {"message": "404 File Not Found"}
            return 200, {
                "file_path": name,
                "encoding": "base64",
                "content": base64.b64encode(content).decode(),
                "last_commit_id": sha(content),
            }
        if path == "/repository/commits":
            return self._commit(body)
        if (method, path) == ("GET", "/merge_requests"):
            found = self.of(query["source_branch"])
            return 200, [{"web_url": self.page(n), "source_branch": pull["branch"]} for n, pull in found]
        if (method, path) == ("POST", "/merge_requests"):
            made = self.propose(
                body["source_branch"], body["target_branch"], body["title"], body["description"]
            )
            if made is None:
                return 409, {"message": ["Another open merge request already exists for this source branch"]}
            return 201, {"web_url": made, "source_branch": body["source_branch"]}
        return 404, {"error": "404 Not Found"}

    def _commit(self, body: Any) -> Answer:
        start = body.get("start_sha") or body.get("start_branch")
        if start and body["branch"] in self.branches:
            return 400, {"message": f"A branch called '{body['branch']}' already exists."}
        if not (files := dict(self.at(start or body["branch"]))):
            return 400, {"message": "You can only create or edit files when you are on a branch"}
        [action] = body["actions"]
        there = files.get(action["file_path"])
        if (action["action"] == "update") != (there is not None):
            return 400, {"message": "A file with this name already exists"}
        if "last_commit_id" in action and action["last_commit_id"] != (there and sha(there)):
            return 400, {"message": "You are attempting to update a file that has changed"}
        if start:
            self.begin(body["branch"], files)
        files[action["file_path"]] = base64.b64decode(action["content"])
        self.branches[body["branch"]] = files
        self.messages.append(body["commit_message"])
        return 201, {"id": "c"}


class FakeBitbucket(FakeHost):
    provider = "bitbucket_server"
    root = "/rest/api/1.0/projects/ACME/repos/shop"

    @property
    def fields(self) -> dict[str, Any]:
        return {**super().fields, "git_project": "ACME", "git_repo": "shop"}

    def page(self, number: int) -> str:
        return f"https://git.example/projects/ACME/repos/shop/pull-requests/{number}"

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        if path == "/branches":
            names = [name for name in self.branches if query["filterText"] in name]
            found = [{"id": f"refs/heads/{name}", "latestCommit": self.tip(name)} for name in names]
            return 200, {"values": found, "isLastPage": True}
        if path.startswith("/raw/"):
            content = self.at(query["at"]).get(path.removeprefix("/raw/"))
            return (200, content) if content is not None else (404, missing("The path does not exist"))
        if path == "/commits":
            content = self.at(query["until"])[query["path"]]
            return 200, {"values": [{"id": sha(content)}]}
        if path.startswith("/browse/") and method == "PUT":
            return self._edit(path.removeprefix("/browse/"), body)
        if (method, path) == ("GET", "/pull-requests"):
            assert (query["direction"], query["state"]) == ("OUTGOING", "ALL")
            pulls = self.of(query["at"].removeprefix("refs/heads/"))
            return 200, {"values": [self._pull(number, pull["branch"]) for number, pull in pulls]}
        if (method, path) == ("POST", "/pull-requests"):
            branch, base = (body[end]["id"].removeprefix("refs/heads/") for end in ("fromRef", "toRef"))
            assert body["fromRef"]["repository"] == {"slug": "shop", "project": {"key": "ACME"}}
            if len(body["description"]) > 32768:
                return 400, missing("Please enter a description of at most 32768 characters")
            if self.propose(branch, base, body["title"], body["description"]) is None:
                return 409, missing("Only one pull request may be open for a given source and target branch")
            return 201, self._pull(len(self.pulls), branch)
        return 404, missing("Not found")

    def _pull(self, number: int, branch: str) -> dict[str, Any]:
        return {"links": {"self": [{"href": self.page(number)}]}, "fromRef": {"id": f"refs/heads/{branch}"}}

    def _edit(self, path: str, body: dict[str, bytes]) -> Answer:
        branch = body["branch"].decode()
        files = dict(self.branches[body.get("sourceBranch", body["branch"]).decode()])
        if "sourceBranch" in body and branch in self.branches:
            return 409, missing("The branch already exists")
        there = files.get(path)
        if (there and sha(there)) != (body["sourceCommitId"].decode() if "sourceCommitId" in body else None):
            return 409, missing("The file has changed")
        if "sourceBranch" in body:
            self.begin(branch, files)
        files[path] = body["content"]
        self.branches[branch] = files
        self.messages.append(body["message"].decode())
        return 200, {"id": "c"}


def missing(message: str) -> dict[str, Any]:
    return {"errors": [{"context": None, "message": message, "exceptionName": "x"}]}


HOSTS = (FakeGitHub, FakeGitLab, FakeBitbucket)


def form(kind: str, content: bytes) -> dict[str, bytes]:
    parsed = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + content)
    parts = parsed.get_payload()
    assert isinstance(parts, list)
    found: dict[str, bytes] = {}
    for part in parts:
        assert isinstance(part, email.message.Message)
        value = part.get_payload(decode=True)
        assert isinstance(value, bytes)
        found[str(part.get_param("name", header="content-disposition"))] = value
    return found


@contextmanager
def served(host: FakeHost) -> Iterator[FakeHost]:
    """Serve a host on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with host.lock:
                status, answer = self._found(content)
            text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _found(self, content: bytes) -> Answer:
            target = urlsplit(self.path)
            host.asked.append(f"{self.command} {target.path}")
            if self.headers.get(host.header) != host.credential:
                return 401, {"message": f"no rights for {self.headers.get(host.header)}"}
            root: str = getattr(host, "root")  # noqa: B009 - each kind has its own
            if not target.path.startswith(root):
                return 404, {"message": "Not Found"}
            kind = self.headers.get("Content-Type", "")
            body = form(kind, content) if kind.startswith("multipart/") else json.loads(content or b"null")
            path = target.path.removeprefix(root)
            if host.provider != "gitlab":
                path = unquote(path)
            query = {name: values[0] for name, values in parse_qs(target.query).items()}
            if self.command == "POST" and path.endswith(("pulls", "requests")) and host.refuses:
                return host.refuses.pop(0), {"message": f"not now, {TOKEN}"}
            answer = host.answer(self.command, path, query, body)
            host.meanwhile(len(host.asked))
            if host.silent_after is not None:
                host.silent_after -= 1
            return answer if host.silent_after is None or host.silent_after >= 0 else (500, b"")

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - http.server looks for these names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in http.server
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
