"""Pull requests from a server, which has no checkout: where a task's fields say, through the host's API.

One is opened for a job at most, however often it is tried and by however many processes: its branch is
named after the job, and a host that has a pull request from that branch, open or not, is asked for no
other.
"""

from __future__ import annotations

import os
import re
from functools import partial
from typing import Any

from ...capture import Redactor
from ...config import Config
from ...errors import ProposalError
from ...models import Job, JobStatus, Proposal, PullRequest, Task
from ...platforms.connections import pinned_client
from ...report.documents import pull_request_text, pull_request_title
from ...store import Store
from .. import jobs
from ..verdicts import OWN_BRANCHES
from . import PREVIEW, RESULT, TIMEOUT_S, TOKEN_KIND, TOKEN_NAME, MakeClient, Repository
from .hosts import BitbucketServer, GitHub, GitLab
from .prompt_file import format_of, with_prompt

_BASE = "main"
#: Characters of a task's name in that of its branch.
_LONGEST_NAME = 80
_GITHUB, _GITHUB_API = "https://github.com", "https://api.github.com"
_GITLAB = "https://gitlab.com"
_ADVICE = (
    "Merging it puts the new prompt into the repository. On the server it is a draft until somebody "
    "activates it."
)
_NO_PATH = re.compile(r"[\x00-\x1f\x7f\\]")


class TaskPulls:
    """Opens pull requests for what the searches of a store's tasks found.

    Args:
        config: The server's.
        store: Has the tasks, their tokens and the proposals.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._store = store
        self._client: MakeClient = partial(
            pinned_client, allow_private=config.server.allow_private_hosts, timeout_s=TIMEOUT_S
        )
        self._redactor = Redactor(os.environ, config.redact)

    def after(self, job: Job, proposal: Proposal) -> dict[str, Any]:
        """Do what a task's mode asks for when a search has found something.

        Returns:
            What of it is kept in the job's result: nothing, a preview or a pull request. Without the
            fields that it needs there is none, which is no failure.
        """
        task = self._store.tasks.find(job.task)
        if task is None or task.mode == "optimize_only":
            return {}
        if task.mode == "pr_preview":
            title, text = self._words(proposal)
            return {PREVIEW: {"title": title, "body": text}}
        return {} if self._lacks(task) else {RESULT: self._opened(task, job, proposal).model_dump()}

    def open(self, job: Job) -> Job:
        """Open the pull request of a job that has come to its end, and keep what came of it.

        Raises:
            JobError: Another process is at it.
            ProposalError: There is nothing to open one for, or the task's fields do not say where.
        """
        task = self._store.tasks.find(job.task)
        if job.result.get(RESULT, {}).get("url"):
            return job
        proposal = next(
            (known for known in self._store.proposals(job.task) if known.id == job.result.get("proposal")),
            None,
        )
        if task is None or proposal is None or job.status is not JobStatus.COMPLETED:
            raise ProposalError("the job found nothing that could be proposed")
        if lacks := self._lacks(task):
            raise ProposalError(f"the task '{task.name}' says nothing of its {', '.join(lacks)}")
        with jobs.held(self._store, job) as held:
            # Somebody else may have opened it before it was held.
            if not held.result.get(RESULT, {}).get("url"):
                held.result = {**held.result, RESULT: self._opened(task, held, proposal).model_dump()}
        return held

    def _opened(self, task: Task, job: Job, proposal: Proposal) -> PullRequest:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", task.name)[:_LONGEST_NAME]
        pull = PullRequest(branch=f"{OWN_BRANCHES}{name}-{job.id}")
        base = task.git_base_branch or _BASE
        path = _place(task)
        try:
            repository = self._repository(task)
            _require_path(path)
            _require_path(base)
            title, text = self._words(proposal)
            change = partial(
                with_prompt,
                path=path,
                text=proposal.text,
                form=format_of(path, task.prompt_format),
                locator=task.prompt_locator,
            )
            message = f"{title}\n\nThe evidence is in the text of the pull request.\n\nKaizen-Job: {job.id}\n"
            repository.commit(path, change, branch=pull.branch, base=base, message=message)
            pull.url = repository.open(branch=pull.branch, base=base, title=title, text=text)
        except Exception as exc:
            # What was found is worth more than the request for it: no failure may cost the job.
            pull.error = self._redactor.text(jobs.reason_of(exc))
        return pull

    def _words(self, proposal: Proposal) -> tuple[str, str]:
        title, text = pull_request_title(proposal), pull_request_text(proposal, _ADVICE)
        return self._redactor.text(title), self._redactor.text(text)

    def _lacks(self, task: Task) -> list[str]:
        """Name the fields without which there is no pull request."""
        given = {
            "git_provider": task.git_provider,
            "git_repo": task.git_repo or (task.git_provider == "gitlab" and task.git_project),
            "git_token_raw": self._store.sealed.shown(TOKEN_KIND, task.id).get(TOKEN_NAME),
            "prompt_path": _place(task),
        }
        if task.git_provider == "bitbucket_server":
            given |= {"git_base_url": task.git_base_url, "git_project": task.git_project}
        return [name for name, value in given.items() if not value]

    def _repository(self, task: Task) -> Repository:
        token = self._store.sealed.open(TOKEN_KIND, task.id, TOKEN_NAME)
        assert token is not None
        secret = token.get_secret_value()
        url, name = (task.git_base_url or "").rstrip("/"), task.git_repo or ""
        if task.git_project and "/" not in name:
            name = f"{task.git_project}/{name}".rstrip("/")
        _require_path(name)
        if task.git_provider == "gitlab":
            return GitLab(_below(url or _GITLAB, "/api/v4"), name, secret, self._client)
        if task.git_provider == "bitbucket_server":
            project, _, slug = name.rpartition("/")
            return BitbucketServer(_below(url, "/rest/api/1.0"), project, slug, secret, self._client)
        if task.git_provider != "github":
            raise ProposalError(
                f"no git_provider {task.git_provider!r}; there are: github, gitlab, bitbucket_server"
            )
        api = _GITHUB_API if url in ("", _GITHUB, _GITHUB_API) else _below(url, "/api/v3")
        return GitHub(api, name, secret, self._client, state="all")


def _place(task: Task) -> str:
    """Return the file that has a task's prompt; a file with a locator is meant before a path."""
    named = task.prompt_file if task.prompt_locator else None
    return named or task.prompt_path or task.prompt_file or ""


def _below(url: str, path: str) -> str:
    """Return an API's address by its server's, if it is not that already."""
    return url if url.endswith(path) else f"{url}{path}"


def _require_path(path: str) -> None:
    """Make sure that a path leads to where it says.

    Raises:
        ProposalError: It does not.
    """
    if _NO_PATH.search(path) or any(part in ("", ".", "..") for part in path.split("/")):
        raise ProposalError(f"{path!r} is no path in a repository")
