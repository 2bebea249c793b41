from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_kaizen.scripted import ScriptedLLM

Cli = Callable[..., tuple[int, str, str]]
KEY = "sk-ant-api03-only-for-this-test-0123456789"
#: A program that has no SDK: it asks both providers, and for something that is no model call.
PROGRAM = """
import json, os, sys, urllib.error, urllib.request

def ask(url, body=None):
    headers = {"x-api-key": os.environ["MY_KEY"], "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()

messages = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
status, text = ask(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", messages)
print(status, json.loads(text)["content"][0]["text"])
messages["stream"] = True
print(ask(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", messages)[1].count("event: "))
chat = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Hi"}]}
status, text = ask(os.environ["OPENAI_BASE_URL"] + "/chat/completions", chat)
print(status, json.loads(text)["choices"][0]["message"]["content"])
print(ask(os.environ["OPENAI_BASE_URL"] + "/models")[0])
print(ask(os.environ["OPENAI_BASE_URL"].replace("/openai", "/other"))[0])
sys.exit(3)
"""


@pytest.fixture
def llm(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    (project / "program.py").write_text(PROGRAM)
    monkeypatch.setenv("MY_KEY", KEY)
    # What leads to the program's own server must not go to a proxy.
    monkeypatch.setenv("NO_PROXY", "localhost")
    with ScriptedLLM() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        server.reply("Hello!")
        yield server


def test_a_program_without_an_sdk(cli: Cli, llm: ScriptedLLM, project: Path) -> None:
    program = ["--task", "greet", "--", sys.executable, "program.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest_kaizen.cli", "exec", *program],
        capture_output=True,
        text=True,
        check=False,
    )
    shown = done.stdout.splitlines()
    assert done.returncode == 3, done.stderr
    assert (shown[0], shown[2], shown[4]) == ("200 Hello!", "200 Hello!", "404")
    assert int(shown[1]) > 3
    assert done.stderr == "kaizen: 3 calls stored: kaizen traces list\n"
    traces = json.loads(cli("traces", "list", "--json")[1])
    assert [(trace["task"], trace["output"]) for trace in traces] == [("greet", "Hello!")] * 3
    assert [trace["spans"][0]["model"] for trace in traces] == ["gpt-5-mini", *["claude-haiku-4-5"] * 2]
    assert [request.last_user_text for request in llm.record][:3] == ["Hi"] * 3
    kept = b"".join(path.read_bytes() for path in (project / ".kaizen").iterdir())
    assert KEY.encode() not in kept


def test_the_environment_is_the_programs_alone(cli: Cli, llm: ScriptedLLM) -> None:
    before = dict(os.environ)
    code = "import os; assert os.environ['NO_PROXY'] == 'localhost,127.0.0.1'"
    assert cli("exec", "--", sys.executable, "-c", code)[0] == 0
    assert dict(os.environ) == before
    assert llm.record == []


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ([sys.executable, "-c", "raise SystemExit(5)"], 5),
        ([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], 128 + signal.SIGKILL),
        (["./nowhere"], 127),
    ],
)
def test_exit_status(command: list[str], status: int, cli: Cli) -> None:
    found, out, err = cli("exec", *command)
    assert (found, out) == (status, "")
    assert err.endswith("kaizen: 0 calls stored: kaizen traces list\n")


def test_a_provider_that_is_not_there(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "ask.py").write_text(PROGRAM.partition("messages = ")[0] + "print(ask(sys.argv[1])[0])")
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    code = (
        "import os, runpy, sys; sys.argv[1:] = [os.environ['ANTHROPIC_BASE_URL'] + '/v1/models']; "
        "from contextlib import redirect_stdout as to\n"
        "with open('out.txt', 'w') as file, to(file): runpy.run_path('ask.py')"
    )
    assert cli("exec", "--", sys.executable, "-c", code)[0] == 0
    assert (project / "out.txt").read_text() == "502\n"


@pytest.mark.parametrize("arguments", [(), ("--",)])
def test_no_program(arguments: tuple[str, ...], cli: Cli) -> None:
    status, out, err = cli("exec", *arguments)
    assert (status, out, err) == (2, "", "kaizen: name the program: kaizen exec -- COMMAND\n")


def test_a_stop_is_passed_on(llm: ScriptedLLM, project: Path) -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "
        "print('ready', flush=True); time.sleep(600)"
    )
    running = subprocess.Popen(
        [sys.executable, "-m", "pytest_kaizen.cli", "exec", "--", sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    running.terminate()
    assert running.wait(300) == 7
    running.stdout.close()
    assert (llm.record, (project / ".kaizen" / "kaizen.db").exists()) == ([], True)
