from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_kaizen.errors import PromptError
from pytest_kaizen.models import PromptVersion
from pytest_kaizen.prompts import PromptLibrary
from pytest_kaizen.prompts.files import sha256_of

Write = Callable[[str, str], Path]
Library = Callable[..., PromptLibrary]


@pytest.fixture
def two_versions(write: Write) -> None:
    write("prompts/t/1.md", "one")
    write("prompts/t/2.md", "---\nmodel: m\nnote: n\n---\ntwo {{ x }}")


def lock_of(active: int, **texts: str) -> str:
    lines = "".join(f"      {name[1:]}: {sha256_of(text)}\n" for name, text in texts.items())
    return f"tasks:\n  t:\n    active: {active}\n    versions:\n{lines}"


@pytest.mark.usefixtures("two_versions")
def test_which_version_runs(write: Write, library: Library) -> None:
    assert library().get("t").version == 2
    write("kaizen.lock", lock_of(1, v1="one"))
    assert library().get("t").version == 1
    assert library("t=2").get("t").version == 2
    assert library("t=2").active("t") == 1


@pytest.mark.usefixtures("two_versions")
def test_get_reads_once(write: Write, library: Library) -> None:
    opened = library()
    first = opened.get("t")
    write("prompts/t/3.md", "three")
    assert opened.get("t") is first


@pytest.mark.usefixtures("two_versions")
def test_a_text_in_the_place_of_the_version_that_runs(library: Library) -> None:
    opened = library()
    opened.override("t", "three {{ y }}")
    found = opened.get("t")
    assert (found.version, found.sha256, found.variables) == (2, sha256_of("three {{ y }}"), ("y",))
    assert found.render(y=1) == "three 1"
    opened.override("t", "four")
    assert opened.get("t").text == "four"
    assert [version.text for version in opened.versions("t")] == ["one", "two {{ x }}"]


@pytest.mark.usefixtures("two_versions")
def test_versions(library: Library) -> None:
    assert library().versions("t") == [
        PromptVersion(task="t", version=1, sha256=sha256_of("one"), text="one", variables=()),
        PromptVersion(
            task="t",
            version=2,
            sha256=sha256_of("two {{ x }}"),
            text="two {{ x }}",
            parent=1,
            model="m",
            variables=("x",),
            note="n",
        ),
    ]


def test_parent_is_the_number_before_where_numbers_are_missing(write: Write, library: Library) -> None:
    for number in (2, 5, 9):
        write(f"prompts/t/{number}.md", "text")
    assert [(v.version, v.parent) for v in library().versions("t")] == [(2, None), (5, 2), (9, 5)]


@pytest.mark.usefixtures("two_versions")
def test_active_and_locked(write: Write, library: Library) -> None:
    assert (library().active("t"), library().active("none")) == (2, None)
    assert library().locked("t") == {}
    write("kaizen.lock", lock_of(1, v1="one"))
    assert library().active("t") == 1
    assert library().locked("t") == {1: sha256_of("one")}


def test_tasks(write: Write, library: Library) -> None:
    write("prompts/plain/1.md", "text")
    write("prompts/empty/notes.txt", "no version here")
    write("prompts/agents/system.md", "somebody else's folder")
    write("prompts/.hidden/1.md", "text")
    write("prompts/shared/1.md", "text")
    write("prompts/1.md", "text")
    write("texts/named/1.md", "text")
    write(
        "kaizen.yaml",
        "tasks:\n  named: {prompts: texts/named}\n  borrower: {prompts: prompts/shared}\n  unprompted: {}\n",
    )
    write("kaizen.lock", lock_of(1, v1="x"))
    assert library().tasks() == ["borrower", "named", "plain", "t"]


def test_configured_folder(write: Write, library: Library) -> None:
    path = write("texts/x/1.md", "text")
    write("kaizen.yaml", "tasks:\n  a task of any name: {prompts: texts/x}\n")
    assert library().get("a task of any name").path == path


def message_of(call: Callable[[], object]) -> str:
    with pytest.raises(PromptError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("files", [(), ("prompts/t/notes.txt",)])
def test_no_prompt(tmp_path: Path, write: Write, library: Library, files: tuple[str, ...]) -> None:
    for name in files:
        write(name, "")
    expected = (
        f"{tmp_path / 'prompts/t'}: no prompt of 't' here; write the first version: `kaizen prompts new t`"
    )
    assert message_of(lambda: library().get("t")) == expected
    assert message_of(lambda: library().versions("t")) == expected


def test_locked_task_without_files(tmp_path: Path, write: Write, library: Library) -> None:
    lock = write("kaizen.lock", lock_of(1, v1="one"))
    assert message_of(lambda: library().check()) == (
        f"{tmp_path / 'prompts/t'}: no prompt of 't' here, and kaizen.lock has one; "
        f"put its files back, or take 't' out of {lock}"
    )


@pytest.mark.parametrize("task", ["", "..", "../up", "a/b", ".git", "-x", "a b", "a\n"])
def test_name_that_is_no_folder(library: Library, task: str) -> None:
    assert message_of(lambda: library().get(task)) == (
        "the name of a task is that of its folder in prompts/: letters, digits, '_', '-' and '.', "
        f"the first a letter, a digit or '_' (found {task!r})"
    )


@pytest.mark.usefixtures("two_versions")
def test_version_asked_for_does_not_exist(tmp_path: Path, library: Library) -> None:
    expected = f"{tmp_path / 'prompts/t'}: there is no version 7 of 't' (there: 1, 2)"
    assert message_of(lambda: library("t=7").get("t")) == expected
    assert message_of(lambda: library("t=7").check()) == expected
    assert message_of(lambda: library("other=1").check()) == (
        f"{tmp_path / 'prompts/other'}: no prompt of 'other' here; "
        "write the first version: `kaizen prompts new other`"
    )


@pytest.mark.usefixtures("two_versions")
def test_active_version_without_its_file(tmp_path: Path, write: Write, library: Library) -> None:
    lock = write("kaizen.lock", lock_of(3, v1="one", v3="three"))
    expected = (
        f"{lock}: version 3 of 't' is active, and its file {tmp_path / 'prompts/t/3.md'} does not exist "
        "(there: 1, 2); put the file back, or make another version active: `kaizen prompts activate t N`"
    )
    assert message_of(lambda: library().get("t")) == expected
    assert message_of(lambda: library().check()) == expected
    assert library("t=1").get("t").text == "one"


@pytest.mark.usefixtures("two_versions")
def test_edit_of_any_locked_version_is_caught(tmp_path: Path, write: Write, library: Library) -> None:
    write("kaizen.lock", lock_of(2, v1="uno", v2="two {{ x }}"))
    message = message_of(lambda: library().get("t"))
    assert message.startswith(
        f"{tmp_path / 'prompts/t/1.md'}: version 1 of 't' was edited after it was locked"
    )
    assert message_of(lambda: library().check()) == message
    assert [v.sha256 for v in library().versions("t")] == [sha256_of("one"), sha256_of("two {{ x }}")]


@pytest.mark.usefixtures("two_versions")
def test_newer_versions_than_the_lock_and_git_line_ends_are_fine(write: Write, library: Library) -> None:
    write("kaizen.lock", lock_of(1, v1="one"))
    write("prompts/t/1.md", "\r\none\r\n\r\n")
    opened = library()
    opened.check()
    assert opened.get("t").text == "one"


def test_check_reads_every_task(write: Write, library: Library) -> None:
    write("prompts/a/1.md", "fine")
    path = write("prompts/b/1.md", "---\nmodle: m\n---\ntext")
    assert message_of(lambda: library().check()).startswith(f"{path}:2: unknown key 'modle'")


def test_malformed_lock_is_found_by_check(tmp_path: Path, write: Write, library: Library) -> None:
    path = write("kaizen.lock", "tasks:\n  t: {active: one}\n")
    assert message_of(lambda: library().check()) == (
        f"{path}:2: tasks.t.active: input should be a valid integer (found 'one')"
    )
    assert not (tmp_path / "prompts").exists()
