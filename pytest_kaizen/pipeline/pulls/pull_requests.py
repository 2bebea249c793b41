"""Proposals as pull requests: what they need, whether there is one already, and how one is opened."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from ...capture import Redactor
from ...config import Config
from ...errors import ProposalError, UsageError
from ...models import Proposal, ProposalStatus, PullRequest
from ...report.pull_request import pull_request_text, pull_request_title
from ...store import Store
from ..ci import ci_context
from .branch import Remote, branch_name, commit_proposal
from .git import Git
from .github import GitHub
from .rest import GitHost

_GITHUB = "https://github.com"
_API = "https://api.github.com"


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
