"""The branch of a proposal: one commit on top of a remote's branch, made beside the user's work.

Nothing is checked out. The files as the remote has them are laid out in a folder of its own, the
version is written there, and the commit is put together with an index of its own.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from ...config import Config
from ...errors import PromptError, ProposalError
from ...models import Proposal
from ...prompts.lock import LOCK_NAME
from ..proposals import take_over
from ..weak import OWN_BRANCHES
from .git import Git

_FILE = "100644"
_NOBODY = ("pytest-kaizen", "pytest-kaizen@localhost")


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
