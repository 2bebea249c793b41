from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.prompts.files import sha256_of

Command = Callable[..., tuple[int, str, str]]
ONE, TWO = "Sum up.", "Sum up {{ ticket }}\nin two sentences."


@pytest.fixture
def run_kaizen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run ``kaizen prompts …`` in a project's folder; gives status, output and error output."""
    (tmp_path / "kaizen.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAIZEN_PROMPT_VERSION", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["prompts", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def two_versions(tmp_path: Path) -> Path:
    folder = tmp_path / "prompts" / "summary"
    folder.mkdir(parents=True)
    (folder / "1.md").write_text(f"{ONE}\n")
    (folder / "2.md").write_text(f"---\nmodel: claude-haiku-4-5\nnote: shorter\n---\n{TWO}\n")
    return folder


def test_from_nothing_to_an_active_second_version(run_kaizen: Command, tmp_path: Path) -> None:
    assert run_kaizen("new", "summary") == (0, f"{Path('prompts/summary/1.md')}\n", "")
    assert run_kaizen("lock") == (0, "summary: locked 1; version 1 is active\n", "")
    assert run_kaizen("new", "summary", "--note", "another try") == (
        0,
        f"{Path('prompts/summary/2.md')}\n",
        "version 1 stays active until `kaizen prompts activate summary 2`\n",
    )
    assert run_kaizen("activate", "summary", "2") == (
        0,
        "summary: version 2 is active; before: version 1\n",
        "",
    )
    assert run_kaizen("activate", "summary", "2") == (0, "summary: version 2 is active\n", "")
    assert (tmp_path / "prompts/summary/2.md").read_text().startswith("---\nnote: another try\n---\nSay what")


def test_new_from_another_folder_prints_a_path_that_works_there(
    run_kaizen: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path / "src")
    assert run_kaizen("new", "summary") == (0, f"{tmp_path / 'prompts/summary/1.md'}\n", "")


@pytest.mark.usefixtures("two_versions")
def test_new_with_a_text(run_kaizen: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "draft.txt").write_text("From a file.\n")
    assert run_kaizen("new", "summary", "--from", "1", "--text", "draft.txt")[0] == 0
    assert (tmp_path / "prompts/summary/3.md").read_text() == "From a file.\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("From standard input."))
    assert run_kaizen("new", "summary", "--from", "2", "--text", "-", "--note", "piped")[0] == 0
    assert (tmp_path / "prompts/summary/4.md").read_text() == (
        "---\nmodel: claude-haiku-4-5\nnote: piped\n---\nFrom standard input.\n"
    )
    status, out, err = run_kaizen("new", "summary", "--text", "none.txt")
    assert (status, out) == (2, "")
    assert err.startswith("kaizen: none.txt: --text: cannot be read: [Errno 2]")


def test_lock_refuses_an_edited_version(run_kaizen: Command, two_versions: Path) -> None:
    assert run_kaizen("lock", "summary") == (0, "summary: locked 1, 2; version 2 is active\n", "")
    (two_versions / "1.md").write_text("edited")
    refusal = (
        f"kaizen: {two_versions / '1.md'}: version 1 of 'summary' was edited after it was locked: the text's "
        f"SHA-256 is {sha256_of('edited')}, kaizen.lock has {sha256_of(ONE)}. Put the locked text back; to "
        "keep the edit, copy it to a new version first: `kaizen prompts new summary --from 1`\n"
    )
    assert run_kaizen("lock") == (2, "", refusal)
    assert run_kaizen("activate", "summary", "1") == (2, "", refusal)
    # The cure that the message names works.
    assert run_kaizen("new", "summary", "--from", "1")[0] == 0
    (two_versions / "1.md").write_text(ONE)
    assert run_kaizen("lock") == (0, "summary: locked 1, 2, 3; version 2 is active\n", "")


def test_list(run_kaizen: Command, two_versions: Path) -> None:
    run_kaizen("activate", "summary", "1")
    (two_versions / "1.md").write_text("edited")
    assert run_kaizen("list")[1].splitlines() == [
        "task       version          lock        sha256        model             note",
        "-------  ---------  ------  ----------  ------------  ----------------  -------",
        f"summary          2          not locked  {sha256_of(TWO)[:12]}  claude-haiku-4-5  shorter",
        f"summary          1  active  edited      {sha256_of('edited')[:12]}",
    ]


def test_list_as_json(run_kaizen: Command, two_versions: Path) -> None:
    run_kaizen("activate", "summary", "2")
    (two_versions.parent / "other").mkdir()
    (two_versions.parent / "other" / "1.md").write_text("text")
    found = json.loads(run_kaizen("list", "--json")[1])
    assert [(entry["task"], entry["version"]) for entry in found] == [
        ("other", 1),
        ("summary", 2),
        ("summary", 1),
    ]
    assert json.loads(run_kaizen("list", "summary", "--json")[1]) == found[1:]
    assert found[1] == {
        "id": "summary@2",
        "label": "shorter",
        "task": "summary",
        "version": 2,
        "active": True,
        "lock": "locked",
        "sha256": sha256_of(TWO),
        "parent": 1,
        "model": "claude-haiku-4-5",
        "variables": ["ticket"],
        "note": "shorter",
        "path": str(Path("prompts/summary/2.md")),
    }


def test_list_of_nothing(run_kaizen: Command) -> None:
    assert run_kaizen("list") == (0, "no prompts yet; write the first: `kaizen prompts new TASK`\n", "")
    assert run_kaizen("list", "--json") == (0, "[]\n", "")


@pytest.mark.usefixtures("two_versions")
def test_show(run_kaizen: Command) -> None:
    assert run_kaizen("show", "summary")[1] == (
        f"summary version 2 (active, not locked)\nsha256: {sha256_of(TWO)}\n"
        f"model: claude-haiku-4-5\nnote: shorter\nvariables: ticket\n\n{TWO}\n"
    )
    assert run_kaizen("show", "summary", "1")[1] == (
        f"summary version 1 (not locked)\nsha256: {sha256_of(ONE)}\n\n{ONE}\n"
    )
    shown = json.loads(run_kaizen("show", "summary", "1", "--json")[1])
    assert (shown["version"], shown["text"], shown["active"]) == (1, ONE, False)


@pytest.mark.usefixtures("two_versions")
def test_diff(run_kaizen: Command) -> None:
    forth = [
        "--- summary version 1",
        "+++ summary version 2",
        "@@ -1 +1,2 @@",
        "-Sum up.",
        "+Sum up {{ ticket }}",
        "+in two sentences.",
    ]
    assert run_kaizen("diff", "summary")[1].splitlines() == forth
    assert run_kaizen("diff", "summary", "1")[1].splitlines() == forth
    assert run_kaizen("diff", "summary", "2", "1")[1].splitlines()[:2] == [
        "--- summary version 2",
        "+++ summary version 1",
    ]
    assert run_kaizen("diff", "summary", "2", "2") == (0, "", "")


def test_terminal_escapes_in_a_prompt_are_shown(run_kaizen: Command, two_versions: Path) -> None:
    (two_versions / "3.md").write_text('---\nnote: "\\e[2Jn"\n---\n\x1b[31mred\n')
    for arguments in (["show", "summary"], ["diff", "summary"], ["list"]):
        out = run_kaizen(*arguments)[1]
        assert "\x1b" not in out
        assert r"\x1b[" in out
    assert r"note: \x1b[2Jn" in run_kaizen("show", "summary")[1]
    assert json.loads(run_kaizen("show", "summary", "--json")[1])["text"] == "\x1b[31mred"


@pytest.mark.usefixtures("two_versions")
def test_diff_of_the_first_version(run_kaizen: Command) -> None:
    run_kaizen("activate", "summary", "1")
    assert run_kaizen("diff", "summary") == (
        2,
        "",
        "kaizen: version 1 of 'summary' is the first, there is none before it; "
        "name the two: `kaizen prompts diff summary A B`\n",
    )


@pytest.mark.parametrize("command", ["show", "diff", "list"])
def test_task_without_prompts(run_kaizen: Command, tmp_path: Path, command: str) -> None:
    assert run_kaizen(command, "none") == (
        2,
        "",
        f"kaizen: {tmp_path / 'prompts/none'}: no prompt of 'none' here; "
        "write the first version: `kaizen prompts new none`\n",
    )


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.0"])
@pytest.mark.usefixtures("two_versions")
def test_number_that_is_none(run_kaizen: Command, capsys: pytest.CaptureFixture[str], number: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run_kaizen("show", "summary", "--", number)
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(
        f"error: argument N: expected a version, counted from 1 (found '{number}')\n"
    )
