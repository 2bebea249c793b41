"""Pull requests from a checkout: what they need, whether there is one already, and how one is opened.

The branch of a proposal is one commit on top of a remote's branch, made beside the user's work:
nothing is checked out. The files as the remote has them are laid out in a folder of its own, the
version is written there, and the commit is put together with an index of its own.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from ...capture import Redactor
from ...config import Config
from ...errors import PromptError, ProposalError, UsageError
from ...models import Proposal, ProposalStatus, PullRequest
from ...prompts.library import LOCK_NAME
from ...report.documents import pull_request_text, pull_request_title
from ...store import Store
from ..improve import take_over
from ..provenance import ci_context
from ..verdicts import OWN_BRANCHES
from . import GitHost
from .hosts import GitHub

#: Seconds for one command; those that talk to a remote wait for a network.
_TIMEOUT_S = 120.0
_SHOWN = 400

_FILE = "100644"
_NOBODY = ("pytest-kaizen", "pytest-kaizen@localhost")

_GITHUB = "https://github.com"
_API = "https://api.github.com"


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


def branch_name(task: str, parent_sha256: str) -> str:
    """Name the branch of a proposal: there is one for a task and the prompt that is to be replaced."""
    return f"{OWN_BRANCHES}{re.sub(r'[^A-Za-z0-9_-]+', '-', task)}-{parent_sha256[:12]}"


@dataclass(frozen=True)
class Remote:
    """The branch of a remote that proposals are for.

    Attributes:
        name: The remote's.
        base: The branch.
    """

    git: Git
    name: str
    base: str

    def heads(self, *branches: str) -> dict[str, str]:
        """Return the commits of those branches that the remote has.

        Raises:
            ProposalError: It cannot be reached.
        """
        names = [f"refs/heads/{branch}" for branch in branches]
        lines = self.git("ls-remote", "--", self.name, *names).decode("utf-8", "replace").splitlines()
        found = (line.split("\t", 1) for line in lines)
        return {name.removeprefix("refs/heads/"): commit for commit, name in found if name in names}

    def tip(self) -> str:
        """Return the last commit of the base, which is here then.

        Raises:
            ProposalError: The remote lacks the branch or cannot be reached.
        """
        commit = self.heads(self.base).get(self.base)
        if commit is None:
            raise ProposalError(f"the remote '{self.name}' has no branch '{self.base}'; push it first")
        try:
            self.git("cat-file", "-e", f"{commit}^{{commit}}")
        except ProposalError:
            # A whole history stays whole, and a shallow one shallow; no branch of the user's moves.
            depth = ["--depth=1"] if self.git.line("rev-parse", "--is-shallow-repository") == "true" else []
            quiet = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--refmap="]
            self.git("fetch", *quiet, *depth, "--", self.name, f"refs/heads/{self.base}")
        return commit

    def push(self, commit: str, branch: str) -> None:
        """Make a branch at the remote that is not there.

        Raises:
            ProposalError: It is there, or the remote refuses.
        """
        ref = f"refs/heads/{branch}"
        quiet = ["--quiet", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"]
        self.git("push", *quiet, f"--force-with-lease={ref}:", "--", self.name, f"{commit}:{ref}")


def commit_proposal(git: Git, config: Config, proposal: Proposal, tip: str) -> str:
    """Make the commit that makes a proposal the active version, and return its id.

    It changes the new version's file and ``kaizen.lock``, and nothing else.

    Args:
        git: In the project's folder.
        config: The project's.
        proposal: What it proposes.
        tip: The commit that it follows.

    Raises:
        ProposalError: Another version is active there, or git failed.
    """
    top = Path(git.line("rev-parse", "--show-toplevel"))
    prompts = _within(top, config.prompt_folder(proposal.task))
    lock = _within(top, config.root / LOCK_NAME)
    with tempfile.TemporaryDirectory(prefix="kaizen-") as scratch:
        folder = Path(scratch, "files")
        _lay_out(git, tip, [f"{prompts}/", lock], folder)
        before = _contents(folder)
        root = folder / _within(top, config.root)
        root.mkdir(parents=True, exist_ok=True)
        try:
            number = take_over(replace(config, root=root), proposal)
        except PromptError as exc:
            raise ProposalError(
                f"on the remote's branch: {str(exc).replace(f'{folder}{os.sep}', '')}"
            ) from None
        environment = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
        git("read-tree", tip, environment=environment)
        for name, content in _contents(folder).items():
            if before.get(name) != content:
                blob = git("hash-object", "-w", "--stdin", given=content).decode().strip()
                entry = f"{_FILE},{blob},{name}"
                git("update-index", "--add", "--cacheinfo", entry, environment=environment)
        tree = git("write-tree", "--missing-ok", environment=environment).decode().strip()
    message = (
        f"Make version {number} of {_plain(proposal.task)} the active prompt\n\n"
        f"Found by `kaizen optimize`. The evidence is in the text of the pull request.\n\n"
        f"Kaizen-Proposal: {proposal.id}\n"
    )
    made = git("commit-tree", tree, "-p", tip, "-F", "-", given=message.encode(), environment=_identity(git))
    return made.decode().strip()


def _within(top: Path, path: Path) -> str:
    """Return a path as git has it, from the top of the checkout."""
    try:
        return path.resolve().relative_to(top.resolve()).as_posix()
    except ValueError:
        raise ProposalError(f"{path} is not in the repository of {top}") from None


def _lay_out(git: Git, tip: str, paths: list[str], folder: Path) -> None:
    for entry in git("ls-tree", "--full-tree", "-r", "-z", tip, "--", *paths).split(b"\0"):
        facts, _, name = entry.partition(b"\t")
        if facts.startswith(b"100"):
            path = folder / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(git("cat-file", "blob", facts.split()[2].decode()))


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _identity(git: Git) -> dict[str, str]:
    """Say who commits where git knows nobody, as in CI."""
    try:
        git("var", "GIT_COMMITTER_IDENT")
        git("var", "GIT_AUTHOR_IDENT")
    except ProposalError:
        roles = [f"GIT_{role}" for role in ("AUTHOR", "COMMITTER")]
        names = {f"{role}_NAME": _NOBODY[0] for role in roles}
        return names | {f"{role}_EMAIL": _NOBODY[1] for role in roles}
    return {}


def _plain(task: str) -> str:
    """Write a task's name so that no git host reads a mention or an issue in it."""
    return re.sub(r"[^\w .-]", "_", task)


class PullRequests:
    """Opens pull requests for the proposals of a project.

    Args:
        config: The project's.
        remote: Where branches go.
        host: Where pull requests are opened.
        redactor: Takes secrets out of what models wrote.
    """

    def __init__(self, config: Config, remote: Remote, host: GitHost, redactor: Redactor) -> None:
        self._config = config
        self._remote = remote
        self._host = host
        self._redactor = redactor

    @classmethod
    def of(cls, config: Config, env: Mapping[str, str]) -> PullRequests:
        """Find out where the pull requests of a project go, before anything costs money.

        Args:
            config: The project's.
            env: The environment, with ``GITHUB_TOKEN``; ``GITHUB_REPOSITORY`` (else what the remote's
                address says), ``GITHUB_API_URL`` and ``GITHUB_SERVER_URL`` (else GitHub's own).

        Raises:
            UsageError: Something is missing: says what.
        """
        token = env.get("GITHUB_TOKEN")
        if not token:
            raise UsageError("a pull request needs GITHUB_TOKEN in the environment, with the right to write")
        server = env.get("GITHUB_SERVER_URL") or _GITHUB
        git = Git(config.root, server=server, token=token)
        base = ci_context(config.root, env).branch
        if base is None:
            raise UsageError("a pull request needs a branch to go to, and none is checked out here")
        try:
            names = git.line("remote").split()
            name = "origin" if "origin" in names else next(iter(names), None)
            if name is None:
                raise UsageError("a pull request needs a remote, and this repository has none")
            address = git.line("remote", "get-url", "--push", name)
        except ProposalError as exc:
            raise UsageError(f"a pull request needs a git repository: {exc}") from None
        repository = env.get("GITHUB_REPOSITORY") or _repository(address, server)
        if repository is None:
            raise UsageError(
                f"a pull request needs GITHUB_REPOSITORY=owner/name: the remote '{name}' is not at {server}"
            )
        host = GitHub(env.get("GITHUB_API_URL") or _API, repository, token)
        return cls(config, Remote(git, name, base), host, Redactor(env, config.redact))

    def taken(self, task: str, parent_sha256: str) -> str | None:
        """Say where the proposal for a prompt is that another checkout made; None when there is none.

        Raises:
            ProposalError: The remote cannot be reached.
        """
        branch = branch_name(task, parent_sha256)
        if branch not in self._remote.heads(branch):
            return None
        return (
            f"a proposal for this prompt is on the branch {branch} of '{self._remote.name}'; "
            f"merge it, or delete the branch to have another"
        )

    def propose(self, store: Store, proposal: Proposal) -> Proposal:
        """Open the pull request of a proposal, and store what came of it.

        Returns:
            The proposal, with the status ``PR_OPEN``, or with ``PR_FAILED`` and the reason; then the
            branch stays, if it came so far, and another call goes on from there.

        Raises:
            StoreError: The store cannot be written.
        """
        branch = branch_name(proposal.task, proposal.parent_sha256)
        known = proposal.pull_request
        if known is not None and known.url is not None:
            return proposal
        pull = PullRequest(branch=branch, commit=known and known.commit)
        status = ProposalStatus.PR_FAILED
        try:
            pull.commit = self._pushed(proposal, pull)
            pull.url = self._host.open(
                branch=branch,
                base=self._remote.base,
                title=self._redactor.text(pull_request_title(proposal)),
                text=self._redactor.text(pull_request_text(proposal)),
            )
            status = ProposalStatus.PR_OPEN
        except (ProposalError, OSError) as exc:
            pull.error = self._redactor.text(str(exc))
        proposal = proposal.model_copy(update={"status": status, "pull_request": pull})
        store.save_proposal(proposal)
        return proposal

    def _pushed(self, proposal: Proposal, pull: PullRequest) -> str:
        """See to it that the branch is at the remote, and return its commit."""
        there = self._remote.heads(pull.branch).get(pull.branch)
        if there is not None:
            if there != pull.commit:
                raise ProposalError(
                    f"the branch {pull.branch} of '{self._remote.name}' holds something else; delete it to "
                    "make room"
                )
            return there
        commit = commit_proposal(self._remote.git, self._config, proposal, self._remote.tip())
        self._remote.push(commit, pull.branch)
        return commit


def _repository(address: str, server: str) -> str | None:
    """Read owner and name from a remote's address, if it is at the server; HTTPS or SSH."""
    host = re.escape(urlsplit(server).netloc)
    found = re.fullmatch(
        rf"(?:https?://|ssh://)?(?:[^@/]*@)?{host}[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?", address
    )
    return found[1] if found else None
