from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pytest_kaizen
from pytest_kaizen.wholefile import replace_text

WRITER = """
import sys
from pathlib import Path
from pytest_kaizen.wholefile import replace_text
for number in range(150):
    replace_text(Path(sys.argv[1]), f"{sys.argv[2]}{number}," * 2000)
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
    path = tmp_path / "file.json"
    replace_text(path, "start")
    home = Path(pytest_kaizen.__file__).parents[1]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name], env={**os.environ, "PYTHONPATH": str(home)}
        )
        for name in ("a", "b")
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        text = path.read_text(encoding="utf-8")
        first = text.partition(",")[0]
        assert text in (f"{first}," * 2000, "start")
        seen.add(first[:1])
        time.sleep(0.001)
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen == {"s", "a", "b"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]
