"""Which state of the code is tested."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

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
