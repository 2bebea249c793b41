"""Text files that are replaced as a whole."""

from __future__ import annotations

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write a file, so that a reader sees the old content or the new, never a part.

    The folder is made if need be; a file that is there keeps its permissions. Of several processes
    that write at once, the last one's content stays.

    Raises:
        OSError: It cannot be written; what was there is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name[:100]}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with new.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        if path.exists():
            new.chmod(path.stat().st_mode & 0o777)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
