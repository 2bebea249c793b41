"""Traces are imported from a real MLflow server, where MLflow is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("mlflow_import.py")


def test_traces_come_from_a_real_server() -> None:
    python = os.environ.get("KAIZEN_MLFLOW_PYTHON")
    if python is None and importlib.util.find_spec("mlflow") is None:
        pytest.skip(f"MLflow is not installed here; `python {SCRIPT.name}` installs it for itself")
    command = [sys.executable, str(SCRIPT), "--python", python or sys.executable, "--traces", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(": ")[1].split(" traces")[0] for line in lines] == ["4", "4"]
