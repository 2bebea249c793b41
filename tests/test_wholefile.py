from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import pytest_kaizen
from pytest_kaizen.files import replace_text

WRITER = """
import sys
from pathlib import Path
from pytest_kaizen.files import replace_text
number = 0
while not Path(sys.argv[3]).exists():
    replace_text(Path(sys.argv[1]), f"{sys.argv[2]}{number}," * 2000)
    number += 1
"""


def test_the_folder_is_made_and_permissions_stay(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.json"
    replace_text(path, "Grüße\n")
    assert path.read_bytes() == "Grüße\n".encode()
    path.chmod(0o640)
    replace_text(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]


def test_what_was_there_stays_when_it_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OSError, match="irectory"):
        replace_text(path, "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_two_processes_never_leave_a_part(tmp_path: Path) -> None:
    path, enough = tmp_path / "file.json", tmp_path / "enough"
    replace_text(path, "start")
    home = Path(pytest_kaizen.__file__).parents[1]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name, str(enough)],
            env={**os.environ, "PYTHONPATH": str(home)},
        )
        for name in ("a", "b")
    ]
    seen: Counter[str] = Counter()
    try:
        while min(seen["a"], seen["b"]) < 50:
            assert [writer.poll() for writer in writers] == [None, None]
            text = path.read_text(encoding="utf-8")
            first = text.partition(",")[0]
            assert text in (f"{first}," * 2000, "start")
            seen[first[:1]] += 1
            time.sleep(0.001)
    finally:
        enough.touch()
    assert [writer.wait() for writer in writers] == [0, 0]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["enough", "file.json"]
