"""From traces to a prompt: by hand on a terminal, and by a script that reads JSON."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.pipeline import jobs
from pytest_kaizen.scripted import ScriptedLLM

if TYPE_CHECKING:
    from tests.cli.conftest import Served, Terminal

Cli = Callable[..., tuple[int, str, str]]
needs_terminals = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
KEY = "sk-ant-api03-only-for-this-test-0123456789"


def test_by_script(cli: Cli, project: Path, reflecting: ScriptedLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = cli("traces", "upload", "logs", "--json")
    assert (status, json.loads(out)["count"]) == (0, 2)
    _, out, _ = cli("traces", "list", "--json")
    ids = [trace["id"] for trace in json.loads(out)]
    assert len(ids) == 2

    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert cli("run", "--all")[0] == 1
    status, out, err = cli("run", "--all", "--wait", "--json", "--anthropic-key", KEY)
    started = json.loads(out)
    assert (status, started["traces"], started["status"]) == (0, 2, "completed")
    assert re.fullmatch(
        rf"job {started['jobId']}: 2 traces, 1 to 2 calls, \$0\.00 to \$0\.0\d; it stops at \$5\n", err
    )
    assert len(reflecting.record) == 1

    status, out, _ = cli("status", started["jobId"], "--wait", "--interval", "0.01", "--json")
    job = json.loads(out)
    assert (status, job["result"]["skillsGenerated"], job["result"]["materialized"]) == (0, 1, False)
    for _ in range(2):
        status, out, _ = cli("materialize", started["jobId"], "--json")
        assert (status, json.loads(out)) == (0, {"jobId": started["jobId"], "skillsGenerated": 1})
    _, out, _ = cli("status", started["jobId"], "--json")
    assert json.loads(out)["result"]["materialized"] is True

    _, out, _ = cli("insights", "list", "--status", "pending", "--json")
    [insight] = json.loads(out)
    assert insight["content"] == "Name a date."
    assert insight["evidence"] == [ids[0]]
    status, out, _ = cli("insights", "triage", "--accept", insight["id"], "--note", "yes")
    assert (status, out) == (0, "accepted 1, rejected 0\n")

    status, out, err = cli("prompts", "generate", "--label", "production", "-o", "prompt.txt")
    assert (status, out, err) == (0, "", "default@1: written with 1 more rule; it is active\n")
    assert (project / "prompt.txt").read_text() == "Follow these rules:\n- Name a date.\n"
    _, out, _ = cli("prompts", "list", "--json")
    assert [(found["id"], found["version"], found["label"]) for found in json.loads(out)] == [
        ("default@1", 1, "production")
    ]
    _, out, _ = cli("prompts", "pull", "--pretty")
    assert json.loads(out) == {
        "id": "default@1",
        "version": 1,
        "label": "production",
        "content": {"text": "Follow these rules:\n- Name a date."},
    }

    # The key is nowhere: not in what was printed, and not in what is kept.
    kept = b"".join(path.read_bytes() for path in project.rglob("*") if path.is_file())
    assert b"Name a date." in kept
    assert KEY.encode() not in kept
    status, out, _ = cli("traces", "delete", *ids, "--force", "--json")
    assert (status, json.loads(out)) == (0, {"deleted": ids, "errors": []})
    assert cli("traces", "list", "--json")[1] == "[]\n"


@needs_terminals
def test_by_hand(
    cli: Cli, project: Path, reflecting: ScriptedLLM, at: list[str], start: Callable[..., Terminal]
) -> None:
    (project / "logs" / "\x1b]0;owned\x07 evil.txt").write_text("\x1b[2Jgone")
    cli("traces", "upload", "logs", *at)
    terminal = start("run", "--wait", *at)
    terminal.wait_for("two.json")
    # The newest is first: down to the last one, chosen, done.
    terminal.type("\x1b[B\x1b[B \r")
    terminal.wait_for("completed: 1 new insight from 1 trace in 1 call, $0.0")
    assert terminal.end() == 0
    assert "\x1b]0;" not in terminal.text
    assert "\\x1b]0;owned\\x07 evil.txt" in terminal.text
    [asked] = reflecting.record
    assert "(the file" in asked.last_user_text
    assert "Name a date." in cli("insights", "list", "--status", "pending", *at)[1]
    assert cli("insights", "triage", "--accept-all", *at)[1] == "accepted 1, rejected 0\n"
    assert cli("prompts", "generate", "-o", "prompt.md", *at)[0] == 0
    assert (project / "prompt.md").read_text() == "Follow these rules:\n- Name a date.\n"


@needs_terminals
def test_on_a_terminal_nothing_foreign_is_sent_and_deleting_is_asked_about(
    cli: Cli, project: Path, start: Callable[..., Terminal]
) -> None:
    (project / "\x1b]0;owned\x07 evil.txt").write_text("\x1b[2Jgone")
    cli("upload", "\x1b]0;owned\x07 evil.txt")
    shown = start("traces", "show", "last")
    assert (shown.end(), "gone" in shown.text, "\x1b" in shown.text) == (0, True, False)
    deleting = start("traces", "delete", "last")
    deleting.wait_for("delete 1 trace? [y/N]")
    deleting.type("n\n")
    assert deleting.end() == 1
    assert len(json.loads(cli("traces", "list", "--json")[1])) == 1


SCRIPT = """
set -euo pipefail
at="$*"
kaizen traces upload logs/ $at
TRACES=$(kaizen traces list --json $at | jq -r '.[].id')
JOB_ID=$(kaizen run --all --json $at | jq -r '.jobId')
kaizen status $JOB_ID --wait --interval 0.1 $at
kaizen insights triage --accept-all $at
kaizen prompts generate -o prompt.md $at
echo $JOB_ID $TRACES
"""


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq")
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_by_script_of_a_shell(cli: Cli, project: Path, reflecting: ScriptedLLM, at: list[str]) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", SCRIPT, "script", *at],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stderr
    job, *traces = done.stdout.splitlines()[-1].split()
    assert traces == [trace["id"] for trace in json.loads(cli("traces", "list", "--json", *at)[1])]
    assert len(traces) == 2
    found = json.loads(cli("status", job, "--json", *at)[1])
    assert (found["status"], found["result"]["skillsGenerated"]) == ("completed", 1)
    assert (project / "prompt.md").read_text() == "Follow these rules:\n- Name a date.\n"
    assert json.loads(cli("prompts", "pull", "--pretty", *at)[1])["version"] == 1
    assert len(reflecting.record) == 1
    # Over a server nothing is kept here.
    assert (project / ".kaizen").exists() is not bool(at)


@needs_terminals
@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color(
    no_color: str, cli: Cli, start: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    cli("upload", "logs")
    terminal = start("run")
    terminal.wait_for("two.json")
    terminal.type("\x03")
    assert terminal.end() == 130
    colours = re.findall(r"\x1b\[(?:[\d;]*;)?(?:3[0-8]|9[0-7]|4[0-8])(?:;[\d;]*)?m", terminal.text)
    assert bool(colours) is not bool(no_color)


@needs_terminals
def test_nothing_chosen_and_giving_up(
    cli: Cli, reflecting: ScriptedLLM, start: Callable[..., Terminal]
) -> None:
    cli("upload", "logs")
    terminal = start("run")
    terminal.wait_for("two.json")
    terminal.type("\r")
    assert terminal.end() == 2
    assert "kaizen: no trace was chosen" in terminal.text
    terminal = start("run")
    terminal.wait_for("two.json")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert reflecting.record == []


@needs_terminals
def test_whoever_has_enough_of_waiting_is_told_how_to_wait_again(
    cli: Cli, served: Served, start: Callable[..., Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_kaizen.server.worker.Worker._look", lambda *_args: None)
    at = ["--server", served.url]
    cli("upload", "logs", *at)
    terminal = start("run", "--all", "--wait", *at)
    terminal.wait_for("queued")
    terminal.interrupt()
    assert terminal.end() == 130
    found = re.search(
        r"job (\S+) goes on; to wait again: kaizen status \1 --wait --server \S+", terminal.text
    )
    assert found is not None
    assert "Traceback" not in terminal.text
    assert json.loads(cli("status", found[1], "--json", *at)[1])["status"] == "queued"


def test_a_job_that_is_interrupted_says_how_to_go_on(
    cli: Cli, reflecting: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("upload", "logs")

    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt(given)

    with monkeypatch.context() as patch:
        patch.setattr("pytest_kaizen.pipeline.insights.Skillbook.merge", interrupted)
        status, out, err = cli("run", "--all", "--json")
    assert (status, out) == (130, "")
    [line] = [line for line in err.splitlines() if "broken off" in line]
    job = line.rpartition(" ")[2]
    assert line == f"job {job} was broken off; to go on: kaizen run --resume {job}"
    status, out, _ = cli("status", job, "--json")
    assert (status, json.loads(out)["status"]) == (1, "stopped")

    # The answer that was paid for is not asked for again.
    assert len(reflecting.record) == 1
    status, out, _ = cli("run", "--resume", job, "--json", "--wait")
    assert (status, len(reflecting.record)) == (0, 1)
    done = json.loads(out)
    assert (done["jobId"], done["status"], done["result"]["skillsGenerated"]) == (job, "completed", 1)
    assert done["spend"]["calls"] == 1
    status, _, err = cli("run", "--resume", job)
    assert (status, f"job {job} has been completed" in err) == (1, True)


def test_the_commands_in_the_readme(cli: Cli, reflecting: ScriptedLLM) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```sh\n(kaizen upload .*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert block is not None
    commands = [shlex.split(line, comments=True)[1:] for line in block[1].splitlines()]
    assert ["run"] in commands
    done = [cli(*command, *(["--all"] if command == ["run"] else [])) for command in commands]
    assert [status for status, _, _ in done] == [0] * len(commands)
    assert (len(reflecting.record), done[-1][1]) == (1, "Follow these rules:\n- Name a date.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_job_that_was_killed_is_gone_on_with(
    cli: Cli, project: Path, reflecting: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        (project / "logs" / f"more{number}.txt").write_text(f"chat {number}")
    cli("upload", "logs")
    reflecting.reply(json.dumps({"lessons": []}), times=1)
    reflecting.reply("never", latency_s=600, times=1)
    killed = subprocess.Popen(
        [sys.executable, "-m", "pytest_kaizen.cli", "run", "--all"], stderr=subprocess.PIPE, text=True
    )
    assert killed.stderr is not None
    job = killed.stderr.readline().split()[1].rstrip(":")
    while len(reflecting.record) < 2:
        assert killed.poll() is None
        time.sleep(0.05)
    killed.kill()
    killed.wait(300)
    killed.stderr.close()

    # Nobody takes its place at once: that it is silent may mean that its machine is busy.
    status, _, err = cli("run", "--resume", job)
    assert (status, f"job {job} (insights for 'default') is under way; its process " in err) == (1, True)
    monkeypatch.setattr(jobs, "LEASE_S", 0.0)
    assert cli("status", job)[1].splitlines()[2] == "status   stopped"
    status, out, _ = cli("run", "--resume", job, "--json", "--wait")
    assert (status, json.loads(out)["jobId"], json.loads(out)["spend"]["calls"]) == (0, job, 2)
    asked = [request.last_user_text for request in reflecting.record]
    assert len(asked) == 3
    assert asked[1] == asked[2] != asked[0]
