"""``kaizen upload`` and ``kaizen traces upload``, and what becomes of the files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., tuple[int, str, str]]
SECRET = "sk-ant-api03-" + "aB3dE6gH9jK2" * 4


@pytest.mark.parametrize("command", [("upload",), ("traces", "upload")])
def test_files_become_traces(command: tuple[str, ...], cli: Cli) -> None:
    status, out, err = cli(*command, "logs/one.md", "logs/two.json", "--json")
    answer = json.loads(out)
    assert (status, err, answer["count"]) == (0, "", 2)
    assert [list(trace) for trace in answer["traces"]] == [
        ["id", "filename", "fileType", "size", "uploadedAt"]
    ] * 2
    assert [(trace["filename"], trace["fileType"], trace["size"]) for trace in answer["traces"]] == [
        ("one.md", "md", 47),
        ("two.json", "json", 35),
    ]
    first = answer["traces"][0]
    shown = json.loads(cli("traces", "show", first["id"], "--json")[1])
    assert shown["content"] == "# Chat\nWhere is my parcel? - It is on its way.\n"
    assert {key: shown[key] for key in first} == first
    assert json.loads(cli("traces", "show", first["id"], "--json", "--meta")[1]) == first


def test_the_table(cli: Cli) -> None:
    _, out, _ = cli("upload", "logs", "--task", "chat")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["trace", "file", "type", "bytes"]
    assert [row[1:] for row in rows[2:]] == [["one.md", "md", "47"], ["two.json", "json", "35"]]
    assert [trace["task"] for trace in json.loads(cli("traces", "list", "--json")[1])] == ["chat", "chat"]


def test_a_folder_with_what_is_in_it(cli: Cli, project: Path) -> None:
    inner = project / "logs" / "deep" / "er"
    inner.mkdir(parents=True)
    (inner / "three.LOG").write_text("plain", encoding="utf-8")
    (inner / "four.MD").write_text("é", encoding="utf-8")
    (project / "logs" / ".git").mkdir()
    (project / "logs" / ".git" / "config").write_text("no")
    (project / "logs" / "bytes.bin").write_bytes(b"\xff\xfe\x00")
    status, out, err = cli("upload", "logs", "--json")
    assert status == 0
    assert [(t["filename"], t["fileType"], t["size"]) for t in json.loads(out)["traces"]] == [
        ("four.MD", "md", 2),
        ("three.LOG", "txt", 5),
        ("one.md", "md", 47),
        ("two.json", "json", 35),
    ]
    assert err.startswith("kaizen: left out: logs/bytes.bin: cannot be read: ")


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_standard_input(arguments: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a line\xff")))
    _, out, _ = cli("upload", *arguments, "--type", "md", "--json")
    [trace] = json.loads(out)["traces"]
    assert (trace["filename"], trace["fileType"], trace["size"]) == ("stdin.txt", "md", 9)


def test_a_long_file_is_warned_about(cli: Cli, project: Path) -> None:
    (project / "long.txt").write_text("x" * 350_001)
    (project / "fits.txt").write_text("x" * 350_000)
    status, _, err = cli("upload", "long.txt", "fits.txt")
    assert (status, err) == (0, "kaizen: warning: long.txt is long: 350,001 characters\n")


def test_secrets_in_a_file_are_not_kept(cli: Cli, project: Path) -> None:
    (project / "log.txt").write_text(f"the key is {SECRET}.")
    cli("upload", "log.txt")
    shown = json.loads(cli("traces", "show", "last", "--json")[1])
    assert shown["content"].startswith("the key is [redacted: ")
    assert shown["size"] == len(shown["content"])
    kept = [path for path in (project / ".kaizen").iterdir() if SECRET.encode() in path.read_bytes()]
    assert kept == []


def test_one_file_that_cannot_be_read_and_none_is_put_in(cli: Cli, project: Path) -> None:
    status, _, err = cli("upload", "logs/one.md", "absent.md")
    assert (status, "kaizen: absent.md: cannot be read: " in err) == (2, True)
    (project / "empty").mkdir()
    assert cli("upload", "empty")[2] == "kaizen: no files there\n"
    assert not (project / ".kaizen").exists()
    assert cli("upload", "logs", "--type", "pdf")[0] == 2


def test_terminal_escapes_in_a_file_are_shown_not_sent(cli: Cli, project: Path) -> None:
    (project / "\x1b]0;x\x07.txt").write_text("\x1b[2J\n::error::gotcha\r")
    for arguments in (("upload", "\x1b]0;x\x07.txt"), ("traces", "list"), ("traces", "show", "last")):
        _, out, err = cli(*arguments)
        assert {"\x1b", "\x07", "\r"}.isdisjoint(out + err)
    assert "\n    \\x1b[2J\n    : :error::gotcha\\r\n" in out


def test_deleting(cli: Cli) -> None:
    cli("upload", "logs")
    first, second = [trace["id"] for trace in json.loads(cli("traces", "list", "--json")[1])]
    status, out, err = cli("traces", "delete", first[:12], "zz")
    assert (status, out) == (1, f"deleted {first}\n")
    assert err.endswith(f"no trace 'zz'; the newest are {second}\n")
    assert cli("traces", "delete", second, "--force") == (0, f"deleted {second}\n", "")
    assert cli("traces", "list")[1] == "no traces\n"
