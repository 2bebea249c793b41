from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_kaizen.errors import PromptError
from pytest_kaizen.prompts import Lock, Prompt
from pytest_kaizen.prompts.files import sha256_of

Write = Callable[[str, str], Path]
A, B = "a" * 64, "b" * 64


def prompt_of(task: str, version: int, text: str) -> Prompt:
    return Prompt(task, version, text, sha256_of(text), Path(f"prompts/{task}/{version}.md"))


def test_no_file_is_an_empty_lock(tmp_path: Path) -> None:
    assert Lock.read(tmp_path) == Lock(tmp_path / "kaizen.lock", {}, {})


def test_written_form(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "kaizen.lock")
    lock.hashes = {"b": {10: A, 2: B}, "a": {1: A}, "on": {1: B}}
    lock.active = {"on": 1, "b": 10, "a": 1}
    lock.write()
    assert lock.path.read_bytes().decode() == (
        "# The active version of each task's prompt, and the SHA-256 of every locked version's text.\n"
        "# Written by `kaizen prompts activate` and `kaizen prompts lock`. Commit it.\n"
        "tasks:\n"
        f"  a:\n    active: 1\n    versions:\n      1: {A}\n"
        f"  b:\n    active: 10\n    versions:\n      2: {B}\n      10: {A}\n"
        f"  'on':\n    active: 1\n    versions:\n      1: {B}\n"
    )
    assert Lock.read(tmp_path) == lock


def test_write_replaces_the_file_and_leaves_nothing_behind(tmp_path: Path, write: Write) -> None:
    path = write("kaizen.lock", f"tasks: {{t: {{active: 1, versions: {{1: {A}}}}}}}\n")
    path.chmod(0o640)
    inode = path.stat().st_ino
    lock = Lock.read(tmp_path)
    lock.active["t"] = 2
    lock.write()
    assert Lock.read(tmp_path).active == {"t": 2}
    assert path.stat().st_ino != inode  # a new file took the old one's place
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["kaizen.lock"]


def test_failed_write_keeps_the_old_file(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("kaizen.lock", "tasks: {}\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    lock = Lock.read(tmp_path)
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(PromptError) as caught:
        lock.write()
    assert str(caught.value) == f"{path}: cannot be written: [Errno 28] No space left on device"
    assert path.read_text() == "tasks: {}\n"
    assert os.listdir(tmp_path) == ["kaizen.lock"]  # noqa: PTH208 - hidden files count


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        ("task: {}\n", ":1", "unknown key 'task' (did you mean 'tasks'?); valid: tasks"),
        ("tasks:\n  t:\n    versions: {}\n", ":2", "'tasks.t.active' is missing"),
        (
            "tasks:\n  t:\n    active: true\n",
            ":3",
            "tasks.t.active: input should be a valid integer (found True)",
        ),
        (
            "tasks:\n  t:\n    active: 0\n",
            ":3",
            "tasks.t.active: input should be greater than or equal to 1 (found 0)",
        ),
        (
            f"tasks:\n  t:\n    active: 1\n    versions:\n      1: {A}\n      2: abc\n",
            ":6",
            "tasks.t.versions: expected a version and its SHA-256, 64 hex digits (found 2: 'abc'); take the "
            "line back from git, or remove it and run `kaizen prompts lock t`",
        ),
        (
            f"tasks:\n  t:\n    active: 1\n    versions:\n      1: {A}\n      1: {B}\n",
            ":6",
            "'1' stands twice (first on line 5); keep one",
        ),
        (
            "tasks:\n  t:\n<<<<<<< ours\n    active: 1\n=======\n    active: 2\n>>>>>>> theirs\n",
            ":4",
            "not valid YAML: could not find expected ':'",
        ),
    ],
)
def test_malformed(tmp_path: Path, write: Write, content: str, place: str, message: str) -> None:
    path = write("kaizen.lock", content)
    with pytest.raises(PromptError) as caught:
        Lock.read(tmp_path)
    assert str(caught.value) == f"{path}{place}: {message}"


def test_verify_names_both_hashes_and_the_cure(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "kaizen.lock")
    old, new = prompt_of("t", 1, "old"), prompt_of("t", 1, "new")
    lock.verify(old)  # not locked yet: may be anything
    lock.record("t", [old], active=1)
    lock.verify(old)
    with pytest.raises(PromptError) as caught:
        lock.verify(new)
    assert str(caught.value) == (
        f"{new.path}: version 1 of 't' was edited after it was locked: the text's SHA-256 is {new.sha256}, "
        f"kaizen.lock has {old.sha256}. Put the locked text back; to keep the edit, copy it to a new "
        "version first: `kaizen prompts new t --from 1`"
    )
    with pytest.raises(PromptError, match="edited after it was locked"):
        lock.record("t", [new], active=1)
    assert lock.hashes == {"t": {1: old.sha256}}
