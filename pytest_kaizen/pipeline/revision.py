"""Which state of the code is tested."""

from __future__ import annotations

import subprocess
from pathlib import Path


def revision(root: Path) -> tuple[str | None, str | None]:
    """Return commit and branch of a checkout; None for what cannot be told (no git, no commit)."""
    return _git(root, "rev-parse", "HEAD"), _git(root, "symbolic-ref", "--short", "HEAD")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
