"""The benchmark of uploads runs, sends everything, and its memory does not grow with what is owed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("upload.py")


def test_everything_is_sent_in_bounded_memory() -> None:
    command = [sys.executable, str(SCRIPT), "--traces", "2000", "--backend", "otlp"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    few, many = (
        re.fullmatch(r"otlp: (\d+) sent, 0 owed, \d+/s, peak (\d+) MB", line)
        for line in done.stdout.splitlines()
    )
    assert few is not None
    assert many is not None
    assert (few[1], many[1]) == ("200", "2000")
    # 1800 more traces of 3 kB, parsed, would take 30 MB and more.
    assert int(many[2]) < int(few[2]) + 15
