"""Which state of the code is tested."""

from __future__ import annotations

import subprocess
from pathlib import Path


def revision(root: Path) -> tuple[str | None, str | None]:
    """Return commit and branch of a checkout; None for what cannot be told (no git, no commit)."""
    return git(root, "rev-parse", "HEAD") or None, git(root, "symbolic-ref", "--short", "HEAD") or None


def git(root: Path, *arguments: str) -> str | None:
    """Return what a git command prints; None when it fails, takes too long or there is no git."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=root,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
