"""A project in git with a bare repository as its remote, and a server that speaks GitHub's API."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pytest_kaizen.config import Config, load_config
from pytest_kaizen.models import Acceptance, CasePair, Decision, Insight, Proposal, Spend
from pytest_kaizen.prompts.files import sha256_of
from pytest_kaizen.store import Store

TOKEN = "ghx_0123456789abcdefghijklmnopqrstuvwxyz"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@dataclass
class FakeGitHub:
    """What was asked of the API, and what it answers.

    Attributes:
        url: Its base address.
        asked: Method, path, authorization and body of each request.
        open: The open pull requests.
        refuses: The status and body of every answer to a POST; None opens the pull request.
    """

    url: str = ""
    asked: list[tuple[str, str, str | None, Any]] = field(default_factory=list)
    open: list[dict[str, Any]] = field(default_factory=list)
    refuses: tuple[int, bytes] | None = None

    def answer(self, method: str, target: str, authorization: str | None, body: Any) -> tuple[int, bytes]:
        self.asked.append((method, target, authorization, body))
        if method == "GET" and "/info/refs" in target:
            return 403, b"not for you"
        if method == "GET":
            head = parse_qs(urlsplit(target).query)["head"][0].partition(":")[2]
            return 200, json.dumps([pull for pull in self.open if pull["head"]["ref"] == head]).encode()
        if self.refuses is not None:
            return self.refuses
        page = f"https://github.example/acme/shop/pull/{7 + len(self.open)}"
        self.open.append({"html_url": page, "head": {"ref": body["head"]}})
        return 201, json.dumps(self.open[-1]).encode()

    @property
    def posted(self) -> list[Any]:
        return [body for method, _, _, body in self.asked if method == "POST"]


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    fake = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, text = fake.answer(self.command, self.path, self.headers.get("Authorization"), body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _answer  # noqa: N815 - http.server looks for these names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in http.server
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    for name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "BUILDKITE", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("GITHUB_API_URL", fake.url)
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/shop")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


def with_remote(root: Path) -> Path:
    """Put a folder under git on the branch ``trunk``, and push it to a bare repository; returns that."""
    remote = root.parent / f"{root.name}-remote.git"
    git(root.parent, "init", "-q", "--bare", str(remote))
    git(root, "init", "-q", "-b", "trunk")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    git(root, "remote", "add", "origin", str(remote))
    git(root, "push", "-q", "origin", "trunk")
    return remote


@dataclass
class Project:
    """Somebody's project: ``root`` is a folder within its checkout ``top``."""

    top: Path
    root: Path
    remote: Path

    @property
    def config(self) -> Config:
        return load_config(self.root)

    @property
    def store(self) -> Store:
        return Store.open(self.root / ".kaizen/kaizen.db")

    def state(self) -> tuple[str, ...]:
        """All that is the user's: files, index, branches, what is checked out, what git remembers."""
        files = sorted(path for path in self.top.rglob("*") if path.is_file() and ".git" not in path.parts)
        contents = [f"{path}: {path.read_text()}" for path in files if ".kaizen" not in path.parts]
        return (
            *contents,
            git(self.top, "status", "--porcelain=v2", "--branch"),
            git(self.top, "ls-files", "--stage"),
            git(self.top, "branch", "--list"),
            git(self.top, "reflog"),
            git(self.top, "stash", "list"),
        )


@pytest.fixture
def project(tmp_path: Path, github: FakeGitHub) -> Project:
    assert github.url
    top = tmp_path / "checkout"
    root = top / "services/bot"
    (root / "prompts/greet").mkdir(parents=True)
    (root / "prompts/greet/1.md").write_text("You greet people.\n")
    (root / "kaizen.yaml").write_text("tasks: {greet: {gate: [{metric: warm, min: 0.9}]}}\n")
    (top / ".gitignore").write_text(".kaizen/\n")
    (top / "app.py").write_text("print('hello')\n")
    remote = with_remote(top)
    # Work that is under way: staged, changed, new.
    (top / "app.py").write_text("print('half')\n")
    git(top, "add", "app.py")
    (top / "app.py").write_text("print('done')\n")
    (top / "notes.txt").write_text("later\n")
    return Project(top, root, remote)


def proposal(text: str = "You greet people.\n- Begin with Dear.", **fields: Any) -> Proposal:
    verdict = Acceptance(
        decision=Decision.ACCEPTED,
        before=0.2,
        after=0.9,
        gain=0.7,
        min_gain=0.02,
        confidence=0.95,
        look=1,
        level=0.03,
        cases=[CasePair(case_id="test_greet.py::test_it[1]", before=0.2, after=0.9)],
        sentence="accepted: the candidate gained 0.70",
    )
    given: dict[str, Any] = {
        "id": "0123456789abcdef",
        "task": "greet",
        "parent_sha256": sha256_of("You greet people."),
        "sha256": sha256_of(text),
        "text": text,
        "diff": [" You greet people.", "+- Begin with Dear."],
        "insights": [Insight(id="i", task="greet", rule="Begin with Dear.", justification="it was cold")],
        "engine": "insights",
        "acceptance": verdict,
        "spend": Spend(rollouts=12, calls=3, usd=0.5),
    }
    return Proposal(**{**given, **fields})
