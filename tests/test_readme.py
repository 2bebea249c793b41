from __future__ import annotations

import gc
import json
import re
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path

import anthropic  # noqa: F401 - pytester throws away what a run imported, and these do not come twice
import pytest
import yaml  # noqa: F401

from pytest_kaizen.cli import main
from pytest_kaizen.plugin import hookspecs
from pytest_kaizen.scripted import ScriptedLLM

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w./-]+)`[^\n]*:\n```\w+\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))

ANSWERS = """
import pytest


@pytest.fixture(autouse=True)
def answers(kaizen_llm):
    kaizen_llm.reply(lambda request: "About the " + request.last_user_text)
    kaizen_llm.reply(json={JUDGED}, when=lambda request: bool(request.schema))
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Iterator[pytest.Pytester]:
    """The files that README shows, with a local server that answers the calls."""
    for name, content in FILES.items():
        path = pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    yield pytester
    # README's tests leave their clients to the garbage collector, as short examples do.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def serve(suite: pytest.Pytester, *, faithful: bool) -> None:
    judged = {
        "faithful": {"reason": "the ticket does not mention a refund", "score": "yes" if faithful else "no"}
    }
    suite.makeconftest(ANSWERS.replace("{JUDGED}", repr(judged)))


def test_files_are_found() -> None:
    assert sorted(FILES) == [
        "kaizen.yaml",
        "prompts/summarize_ticket/1.md",
        "rubrics/summary.yaml",
        "test_offline.py",
        "test_summary.py",
    ]


def test_suite_passes(suite: pytest.Pytester) -> None:
    serve(suite, faithful=True)
    result = suite.runpytest("--kaizen", "-W", "error", "-p", "no:asyncio")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "summarize_ticket: summary 1.00 * >= 0.85: pass over 2 samples",
            "summarize_ticket: cost_usd * <= 0.01: pass over 2 samples",
            "kaizen: 10 gates decided over 3 cases: all passed *",
        ]
    )


def test_failure_reads_as_shown(suite: pytest.Pytester) -> None:
    serve(suite, faithful=False)
    result = suite.runpytest("--kaizen", "test_summary.py", "-p", "no:asyncio")
    result.assert_outcomes(failed=2)
    shown = re.search(r"^```\n(summary 0\.30.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert shown is not None
    result.stdout.fnmatch_lines([line.replace("[", "[[]") for line in shown[1].splitlines()])


def test_off_skips(suite: pytest.Pytester) -> None:
    suite.runpytest("-p", "no:asyncio").assert_outcomes(skipped=3)
    assert not (suite.path / ".kaizen").exists()


def test_commands_work(suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    serve(suite, faithful=True)
    suite.runpytest("--kaizen", "-p", "no:asyncio")
    block = re.search(r"^```sh\n(kaizen .*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert block is not None
    commands = [shlex.split(line, comments=True) for line in block[1].splitlines()]
    assert len(commands) == 6
    for command in commands:
        capsys.readouterr()
        assert main(command[1:]) == 0, command
    traces = json.loads(capsys.readouterr().out)
    assert len(traces) == 3


def test_recorded_calls_read_as_shown(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = re.search(r"### Recorded calls.*?^```json\n(.*?)^```$.*?^```\n(.*?)^```$", README, re.M | re.S)
    assert shown is not None
    with ScriptedLLM() as llm:
        for name, value in llm.environ.items():
            monkeypatch.setenv(name, value)
        llm.reply(json={"faithful": {"reason": "so it is", "score": "yes"}}, when=lambda r: bool(r.schema))
        llm.reply(lambda request: "About the " + request.last_user_text)
        arguments = ("--kaizen", "test_summary.py", "-p", "no:asyncio")
        suite.runpytest(*arguments, "--kaizen-record=new").assert_outcomes(passed=2)
        record = (suite.path / "cassettes/test_summary/test_summary-lamp.json").read_text(encoding="utf-8")
        assert shown[1] in record
        prompt = suite.path / "prompts/summarize_ticket/1.md"
        prompt.write_text(prompt.read_text().replace("one sentence", "two sentences"), encoding="utf-8")
        result = suite.runpytest(*arguments, "--kaizen-record=replay")
    result.assert_outcomes(failed=2)
    assert shown[2] in result.stdout.str()


def options(parser_help: str) -> set[str]:
    return set(re.findall(r"--kaizen[\w-]*", parser_help))


def test_every_option_and_ini_key_is_documented(pytester: pytest.Pytester) -> None:
    text = pytester.runpytest("--help").stdout.str()
    assert options(text) == options(README)
    ini = set(re.findall(r"^  (kaizen_\w+)", text, re.MULTILINE))
    assert ini
    assert ini == {key for key in re.findall(r"`(kaizen_\w+)`", README) if key in ini}


def test_every_marker_is_documented(pytester: pytest.Pytester) -> None:
    text = pytester.runpytest("--markers").stdout.str()
    markers = set(re.findall(r"^@pytest\.mark\.(kaizen\w*)\(", text, re.MULTILINE))
    assert markers == set(re.findall(r"^\| `(kaizen\w*)\(", README, re.MULTILINE))


def test_every_hook_is_documented() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("pytest_kaizen_")}
    assert hooks == set(re.findall(r"`(pytest_kaizen_\w+)`", README))


def test_the_two_commands_are_one_line_each() -> None:
    for mark in ("main job", "tests"):
        block = re.search(rf"^<!-- {mark} -->\n```sh\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)
        assert block is not None, mark
        assert "\n" not in block[1]
        assert block[1].startswith("python3 -m venv ")
