from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_kaizen.config import Config, load_config
from pytest_kaizen.errors import PromptError
from pytest_kaizen.prompts import Lock, PromptLibrary, activate_version, lock_versions, new_version
from pytest_kaizen.prompts.files import sha256_of

Write = Callable[[str, str], Path]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(tmp_path, env={})


def test_first_version(tmp_path: Path, config: Config) -> None:
    path = new_version(config, "t")
    assert path == tmp_path / "prompts/t/1.md"
    assert path.read_text() == (
        "---\nnote: First version.\n---\n"
        "Say what the model is to do, what it is given, and what its answer must look like.\n"
    )


def test_copy_of_the_active_version(write: Write, config: Config) -> None:
    write("prompts/t/1.md", "---\nmodel: m\nvariables: [x]\nnote: first\n---\none {{ x }}\n")
    write("prompts/t/2.md", "two")
    activate_version(config, "t", 1)
    path = new_version(config, "t")
    assert path.name == "3.md"
    assert path.read_text() == "---\nmodel: m\nvariables: [x]\nnote: first\n---\none {{ x }}\n"
    assert new_version(config, "t", source=2, note="again").read_text() == "---\nnote: again\n---\ntwo\n"


def test_given_text_takes_over_the_front_matter(write: Write, config: Config) -> None:
    write("prompts/t/1.md", "---\nmodel: m\nvariables: [x]\nnote: first\n---\none {{ x }}\n")
    path = new_version(config, "t", text="other {{ y }}\r\n", note="second")
    assert path.read_text() == "---\nmodel: m\nvariables: [y]\nnote: second\n---\nother {{ y }}\n"
    path = new_version(config, "t", text="---\nmodel: n\n---\nthird {{ z }}")
    assert path.read_text() == "---\nmodel: n\n---\nthird {{ z }}\n"


def test_given_text_of_the_first_version(config: Config) -> None:
    assert new_version(config, "t", text="mine").read_text() == "mine\n"


def test_given_text_that_is_no_prompt(tmp_path: Path, config: Config) -> None:
    with pytest.raises(PromptError) as caught:
        new_version(config, "t", text="---\nnot: a key\n---\ntext", text_path=Path("draft.txt"))
    assert (
        str(caught.value)
        == "draft.txt:2: unknown key 'not' (did you mean 'note'?); valid: model, note, variables"
    )
    assert list(tmp_path.iterdir()) == []


def test_no_number_is_used_twice(write: Write, config: Config) -> None:
    for number in (1, 2):
        write(f"prompts/t/{number}.md", "text")
    lock_versions(config)
    (config.root / "prompts/t/2.md").unlink()
    activate_version(config, "t", 1)
    assert new_version(config, "t").name == "3.md"


def test_edited_locked_version_can_be_copied(write: Write, config: Config) -> None:
    write("prompts/t/1.md", "one")
    lock_versions(config)
    write("prompts/t/1.md", "edited")
    assert new_version(config, "t").read_text() == "edited\n"


def test_new_version_of_a_task_whose_files_are_gone(write: Write, config: Config) -> None:
    path = write("prompts/t/1.md", "one")
    lock_versions(config)
    path.unlink()
    assert new_version(config, "t", text="anew").name == "2.md"


@pytest.mark.parametrize(
    ("task", "source", "message"),
    [
        ("t", 4, "{root}/prompts/t: there is no version 4 of 't' (there: 1)"),
        ("u", 1, "{root}/prompts/u: no prompt of 'u' here; write the first version: `kaizen prompts new u`"),
    ],
)
def test_copy_of_nothing(write: Write, config: Config, task: str, source: int, message: str) -> None:
    write("prompts/t/1.md", "one")
    with pytest.raises(PromptError) as caught:
        new_version(config, task, source=source)
    assert str(caught.value) == message.format(root=config.root)


def test_new_version_stays_below_prompts(tmp_path: Path, config: Config) -> None:
    with pytest.raises(PromptError, match=r"\(found '\.\./x'\)$"):
        new_version(config, "../x")
    assert list(tmp_path.iterdir()) == []


def test_new_version_that_cannot_be_written(write: Write, config: Config) -> None:
    write("prompts", "a file in the way")
    with pytest.raises(PromptError) as caught:
        new_version(config, "t")
    assert str(caught.value).startswith(f"{config.root / 'prompts/t/1.md'}: cannot be written: [Errno ")


def test_new_version_never_overwrites(write: Write, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("prompts/t/1.md", "written by someone else since")
    monkeypatch.setattr(PromptLibrary, "numbers", lambda *_: [])
    with pytest.raises(PromptError) as caught:
        new_version(config, "t")
    assert str(caught.value).startswith(f"{path}: cannot be written: [Errno 17] File exists")
    assert path.read_text() == "written by someone else since"


def test_activate(write: Write, config: Config) -> None:
    for number in (1, 2):
        write(f"prompts/t/{number}.md", f"text {number}")
    assert activate_version(config, "t", 1) == 2
    assert activate_version(config, "t", 2) == 1
    lock = Lock.read(config.root)
    assert lock.active == {"t": 2}
    assert lock.hashes == {"t": {1: sha256_of("text 1"), 2: sha256_of("text 2")}}


def test_activate_what_is_not_there_or_was_edited(write: Write, config: Config) -> None:
    write("prompts/t/1.md", "one")
    lock_versions(config)
    before = (config.root / "kaizen.lock").read_bytes()
    with pytest.raises(PromptError, match=r"there is no version 2 of 't' \(there: 1\)$"):
        activate_version(config, "t", 2)
    write("prompts/t/1.md", "edited")
    with pytest.raises(PromptError, match="version 1 of 't' was edited after it was locked"):
        activate_version(config, "t", 1)
    assert (config.root / "kaizen.lock").read_bytes() == before


def test_lock_pins_the_active_version(write: Write, config: Config) -> None:
    write("prompts/a/1.md", "a1")
    write("prompts/b/1.md", "b1")
    write("prompts/b/2.md", "b2")
    assert lock_versions(config, ["b"]) == ["b"]
    assert lock_versions(config) == ["a", "b"]
    write("prompts/b/3.md", "b3")
    lock_versions(config)
    lock = Lock.read(config.root)
    assert lock.active == {"a": 1, "b": 2}
    assert list(lock.hashes["b"]) == [1, 2, 3]


def test_lock_is_all_or_nothing(write: Write, config: Config) -> None:
    write("prompts/b/1.md", "b1")
    lock_versions(config)
    before = (config.root / "kaizen.lock").read_bytes()
    write("prompts/a/1.md", "new, and would be locked first")
    write("prompts/b/1.md", "edited")
    with pytest.raises(PromptError, match="version 1 of 'b' was edited after it was locked"):
        lock_versions(config)
    assert (config.root / "kaizen.lock").read_bytes() == before


def test_lock_of_nothing(config: Config) -> None:
    with pytest.raises(PromptError) as caught:
        lock_versions(config)
    assert str(caught.value) == (
        f"{config.root / 'prompts'}: no prompts to lock; write the first: `kaizen prompts new TASK`"
    )
    assert os.listdir(config.root) == []  # noqa: PTH208 - hidden files count
