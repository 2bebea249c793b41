from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.pipeline.provenance import checkout, code_state, revision


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_commit_and_branch(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    assert (revision(tmp_path), checkout(tmp_path)) == ((None, "trunk"), (None, "trunk", False))
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert (revision(tmp_path), checkout(tmp_path)) == ((commit, "trunk"), (commit, "trunk", False))
    git(tmp_path, "checkout", "-q", "--detach")
    (tmp_path / "# new").write_text("")
    assert (revision(tmp_path), checkout(tmp_path)) == ((commit, None), (commit, None, True))


def test_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert (revision(tmp_path), checkout(tmp_path)) == ((None, None), (None, None, None))


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (revision(tmp_path), checkout(tmp_path)) == ((None, None), (None, None, None))


def test_a_checkout_too_large_to_be_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    run = subprocess.run

    def slow(command: list[str], **how: Any) -> subprocess.CompletedProcess[bytes]:
        if "status" in command:
            raise subprocess.TimeoutExpired(command, 5.0)
        return run(command, **how)

    monkeypatch.setattr(subprocess, "run", slow)
    assert checkout(tmp_path) == (*revision(tmp_path), None) != (None, None, None)


def test_the_state_of_the_code_counts_what_is_not_committed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    app, data = tmp_path / "bot/app.py", tmp_path / "bot/data.bin"
    app.parent.mkdir()
    app.write_text("one\n")
    data.write_bytes(b"\0\1")
    (tmp_path / ".gitignore").write_text(".kaizen/\nignored.py\n")
    unborn = code_state(tmp_path)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    first = code_state(tmp_path)
    assert (first != unborn, code_state(app.parent)) == (True, first)

    states = {first}

    def is_new() -> bool:
        before = len(states)
        states.add(code_state(app.parent))
        return len(states) > before

    app.write_text("two\n")
    assert is_new()
    git(tmp_path, "add", "-A")
    assert not is_new()
    app.write_text("three\n")
    assert is_new()
    data.write_bytes(b"\0\2")
    assert is_new()
    (tmp_path / "new.py").write_text("four\n")
    assert is_new()
    (tmp_path / "new.py").write_text("five\n")
    assert is_new()
    git(tmp_path, "commit", "-q", "-am", "second")
    assert is_new()
    # What git ignores and what a run leaves behind is no code.
    (tmp_path / "ignored.py").write_text("six\n")
    (tmp_path / "junit.xml").write_text("seven\n")
    assert not is_new()


def test_the_state_of_code_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    before = code_state(tmp_path)
    for name in (".venv/lib/a.py", "env/pyvenv.cfg", "env/lib/a.py", "__pycache__/a.py", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one\n")
    assert code_state(tmp_path) == before
    (tmp_path / "bot").mkdir()
    (tmp_path / "bot/app.py").write_text("one\n")
    after = code_state(tmp_path)
    (tmp_path / "bot/app.py").write_text("two\n")
    assert len({before, after, code_state(tmp_path)}) == 3
