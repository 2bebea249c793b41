"""Where the cassette of a test is kept."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path

FOLDER = "cassettes"
_LONGEST = 100
_UNSAFE = re.compile(r"[^\w.-]+", re.ASCII)


def cassette_path(test_file: Path, test: str) -> Path:
    """Return the file for a test's records: ``cassettes/<module>/<test>.json`` beside the test's.

    No two tests of a module share a file, on any file system: where a test's parameters cannot
    stand in a file name as they are, or would differ from others in upper case alone, a hash does
    in addition.

    Args:
        test_file: The file of the test.
        test: The test's name within it: ``TestTickets::test_summary[lamp]``.
    """
    function, bracket, parameters = test.partition("[")
    plain = function.replace("::", ".")
    if bracket:
        plain += f"-{parameters.removesuffix(']')}"
    safe = _UNSAFE.sub("_", plain)
    is_plain = safe == plain and parameters == parameters.lower() and len(safe) <= _LONGEST
    if not is_plain:
        digest = hashlib.sha256(test.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        safe = f"{safe[: _LONGEST - 9]}-{digest}"
    return _folder(test_file) / f"{safe}.json"


@lru_cache(maxsize=16)
def _folder(test_file: Path) -> Path:
    # The tests of a module come one after another.
    return test_file.parent.joinpath(FOLDER, test_file.stem)
