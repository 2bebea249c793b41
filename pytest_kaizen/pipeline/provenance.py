"""Where a run comes from: which state of the code is tested, and what the CI system says about it.

There is a reader for each CI system, told apart by a variable that only it sets.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..models import CIContext, CIProvider

#: Seconds to read what is not committed, in a large checkout.
_DIFF_S = 60.0
#: Commit, branch, and whether there are changes; None for what cannot be told.
Checkout = tuple[str | None, str | None, bool | None]
_STATUS = (
    "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--no-ahead-behind",
    "--", ".", ":(exclude).kaizen",
)  # fmt: skip
#: The status of a git command that says, for instance, that there is no checkout.
_FATAL = 128
_NOT_OURS = frozenset({"__pycache__", "node_modules", "site-packages"})

Env = Mapping[str, str]


def revision(root: Path) -> tuple[str | None, str | None]:
    """Return commit and branch of a checkout; None for what cannot be told (no git, no commit)."""
    return git(root, "rev-parse", "HEAD") or None, git(root, "symbolic-ref", "--short", "HEAD") or None


def checkout(root: Path) -> Checkout:
    """Return commit and branch of a checkout, and whether it was changed since; all by one git process.

    Where it takes too long to look through the files, nothing is told of changes.
    """
    done = _done(root, *_STATUS)
    if done is None or done.returncode not in (0, _FATAL):
        return (*revision(root), None)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    facts = dict(line.split(" ", 2)[1:] for line in lines if line.startswith("# branch."))
    commit, branch = facts.get("branch.oid"), facts.get("branch.head")
    return (
        None if commit == "(initial)" else commit,
        None if branch == "(detached)" else branch,
        any(not line.startswith("# ") for line in lines) if facts else None,
    )


def git(root: Path, *arguments: str) -> str | None:
    """Return what a git command prints; None when it fails, takes too long or there is no git."""
    printed = _printed(root, *arguments)
    return None if printed is None else printed.decode("utf-8", "replace").strip()


def code_state(root: Path) -> str:
    """Return a hash of the code: the commit and what is not committed.

    Counted are changes of tracked files of any kind and Python files that git neither tracks nor
    ignores; without git (or a commit) all Python files below ``root``, but those of environments
    and in hidden folders.
    """
    digest = hashlib.sha256()
    top = Path(git(root, "rev-parse", "--show-toplevel") or root)
    changes = _printed(top, "diff", "--binary", "--no-ext-diff", "--no-textconv", "HEAD", seconds=_DIFF_S)
    new = _printed(top, "ls-files", "--others", "--exclude-standard", "-z", "--", "*.py", seconds=_DIFF_S)
    if changes is None or new is None:
        _add_files(digest, root, sorted(_python_files(root)))
    else:
        digest.update((git(top, "rev-parse", "HEAD") or "").encode() + b"\0" + changes)
        _add_files(digest, top, (Path(os.fsdecode(name)) for name in sorted(new.split(b"\0")) if name))
    return digest.hexdigest()


def _add_files(digest: hashlib._Hash, folder: Path, names: Iterable[Path]) -> None:
    for name in names:
        try:
            content = (folder / name).read_bytes()
        except OSError:
            content = b""
        digest.update(f"\0{len(content)}\0{name}\0".encode("utf-8", "surrogateescape") + content)


def _python_files(root: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(root):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and name not in _NOT_OURS
            and not Path(place, name, "pyvenv.cfg").exists()
        ]
        yield from (Path(place, name).relative_to(root) for name in files if name.endswith(".py"))


def _printed(root: Path, *arguments: str, seconds: float = 5.0) -> bytes | None:
    done = _done(root, *arguments, seconds=seconds)
    return done.stdout if done and done.returncode == 0 else None


def _done(root: Path, *arguments: str, seconds: float = 5.0) -> subprocess.CompletedProcess[bytes] | None:
    """Return how a git command ended; None when it takes too long or there is no git."""
    try:
        return subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def ci_context(root: Path, env: Env, here: Checkout | None = None) -> CIContext:
    """Read where a run takes place; what cannot be read is None, and nothing is ever raised.

    Args:
        root: The checkout.
        env: The environment.
        here: What ``checkout`` says of it, where that is known.
    """
    commit, branch, dirty = here or checkout(root)
    provider, facts = _read(env)
    local = {"revision": commit, "branch": branch, "dirty": dirty}
    return CIContext(provider=provider, **{**local, **facts})


def _read(env: Env) -> tuple[CIProvider, dict[str, Any]]:
    for provider, sign, read in _READERS:
        if env.get(sign):
            return provider, {name: value for name, value in read(env).items() if value not in (None, "")}
    return "local", {}


def _github(env: Env) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "revision": env.get("GITHUB_SHA"),
        "branch": env.get("GITHUB_HEAD_REF") or env.get("GITHUB_REF_NAME"),
    }
    if number := re.fullmatch(r"refs/pull/(\d+)/\w+", env.get("GITHUB_REF", "")):
        facts["pull_request"] = number[1]
    if pull := _Json.read(env.get("GITHUB_EVENT_PATH"))["pull_request"]:
        head, base = pull["head"], pull["base"]
        source, target = head["repo"]["full_name"].text, base["repo"]["full_name"].text
        facts |= {
            "revision": head["sha"].text or facts["revision"],
            "branch": head["ref"].text or facts["branch"],
            "pull_request": pull["number"].text or facts.get("pull_request"),
            # A fork that was deleted since has no repository.
            "fork": source != target if target else None,
        }
    if run := env.get("GITHUB_RUN_ID"):
        server = env.get("GITHUB_SERVER_URL", "https://github.com")
        facts["run_url"] = f"{server}/{env.get('GITHUB_REPOSITORY', '')}/actions/runs/{run}"
    return facts


def _gitlab(env: Env) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "revision": env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or env.get("CI_COMMIT_SHA"),
        "branch": env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or env.get("CI_COMMIT_REF_NAME"),
        "pull_request": env.get("CI_MERGE_REQUEST_IID"),
        "run_url": env.get("CI_JOB_URL"),
    }
    if facts["pull_request"]:
        facts["fork"] = _differ(
            env.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID"), env.get("CI_MERGE_REQUEST_PROJECT_ID")
        )
    elif external := env.get("CI_EXTERNAL_PULL_REQUEST_IID"):
        facts |= {
            "revision": env.get("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA") or facts["revision"],
            "branch": env.get("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME") or facts["branch"],
            "pull_request": external,
            "fork": _differ(
                env.get("CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY"),
                env.get("CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY"),
            ),
        }
    return facts


def _jenkins(env: Env) -> dict[str, Any]:
    pull = env.get("CHANGE_ID")
    return {
        "revision": env.get("GIT_COMMIT"),
        "branch": env.get("CHANGE_BRANCH")
        or env.get("BRANCH_NAME")
        or env.get("GIT_BRANCH", "").removeprefix("origin/"),
        "pull_request": pull,
        # Set for forks alone.
        "fork": bool(env.get("CHANGE_FORK")) if pull else None,
        "run_url": env.get("BUILD_URL"),
    }


def _buildkite(env: Env) -> dict[str, Any]:
    pull = env.get("BUILDKITE_PULL_REQUEST", "false")
    facts: dict[str, Any] = {"branch": env.get("BUILDKITE_BRANCH"), "run_url": env.get("BUILDKITE_BUILD_URL")}
    # A build that is started by hand may name no commit but HEAD.
    if env.get("BUILDKITE_COMMIT") != "HEAD":
        facts["revision"] = env.get("BUILDKITE_COMMIT")
    if pull != "false":
        facts |= {
            "pull_request": pull,
            "fork": _differ(
                _repository(env.get("BUILDKITE_PULL_REQUEST_REPO")), _repository(env.get("BUILDKITE_REPO"))
            ),
        }
    return facts


def _circleci(env: Env) -> dict[str, Any]:
    # The second is set for forks alone.
    url, forked = env.get("CIRCLE_PULL_REQUEST", ""), env.get("CIRCLE_PR_NUMBER")
    pull = forked or url.rpartition("/")[2]
    return {
        "revision": env.get("CIRCLE_SHA1"),
        "branch": env.get("CIRCLE_BRANCH"),
        "pull_request": pull,
        "fork": bool(forked) if pull else None,
        "run_url": env.get("CIRCLE_BUILD_URL"),
    }


_READERS: tuple[tuple[CIProvider, str, Callable[[Env], dict[str, Any]]], ...] = (
    ("github", "GITHUB_ACTIONS", _github),
    ("gitlab", "GITLAB_CI", _gitlab),
    ("buildkite", "BUILDKITE", _buildkite),
    ("circleci", "CIRCLECI", _circleci),
    ("jenkins", "JENKINS_URL", _jenkins),
)


class _Json:
    """A JSON value that can be asked for what it may not have."""

    def __init__(self, value: Any) -> None:
        self._value = value

    @classmethod
    def read(cls, path: str | None) -> _Json:
        """Read a file; empty when it cannot be read."""
        try:
            return cls(json.loads(Path(path or "").read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError):
            return cls(None)

    def __getitem__(self, key: str) -> _Json:
        return _Json(self._value.get(key) if isinstance(self._value, dict) else None)

    def __bool__(self) -> bool:
        return bool(self._value)

    @property
    def text(self) -> str | None:
        """A text or a number, as text."""
        value = self._value
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _repository(url: str | None) -> str | None:
    """Return owner and name, whether a repository is named by HTTPS or by SSH."""
    if not url:
        return None
    return "/".join(re.split(r"[/:]", url.removesuffix("/").removesuffix(".git"))[-2:]).lower()


def _differ(one: str | None, other: str | None) -> bool | None:
    return None if not one or not other else one != other
