from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_kaizen.config import load_config
from pytest_kaizen.prompts import PromptLibrary


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write a file below the project's root, given with slashes."""

    def write_file(name: str, content: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8"))
        return path

    return write_file


@pytest.fixture
def library(tmp_path: Path) -> Callable[..., PromptLibrary]:
    """Open the project's prompts anew, with ``TASK=N`` items as the command line gives them."""

    def open_library(*prompt_version: str) -> PromptLibrary:
        cli = {"prompt_version": list(prompt_version) or None}
        return PromptLibrary(load_config(tmp_path, cli=cli, env={}))

    return open_library
