from __future__ import annotations

import gc
import json
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import anthropic  # noqa: F401 - pytester throws away what a run imported, and these do not come twice
import httpx
import pytest
import yaml

from pytest_kaizen.cli import main
from pytest_kaizen.config.document import KaizenYaml
from pytest_kaizen.plugin import hookspecs
from pytest_kaizen.scripted import ScriptedLLM

_ROOT = Path(__file__).parent.parent
README = (_ROOT / "README.md").read_text(encoding="utf-8")
MANUAL = {
    page: page.read_text(encoding="utf-8")
    for page in (_ROOT / "README.md", *sorted(_ROOT.glob("examples/*/README.md")))
}
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


def test_a_call_without_a_record_reads_as_shown(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = re.search(r"### Recorded calls.*?^```\n(.*?)^```$", README, re.M | re.S)
    assert shown is not None
    with ScriptedLLM() as llm:
        for name, value in llm.environ.items():
            monkeypatch.setenv(name, value)
        llm.reply(json={"faithful": {"reason": "so it is", "score": "yes"}}, when=lambda r: bool(r.schema))
        llm.reply(lambda request: "About the " + request.last_user_text)
        arguments = ("--kaizen", "test_summary.py", "-p", "no:asyncio")
        suite.runpytest(*arguments, "--kaizen-record=new").assert_outcomes(passed=2)
        prompt = suite.path / "prompts/summarize_ticket/1.md"
        prompt.write_text(prompt.read_text().replace("one sentence", "two sentences"), encoding="utf-8")
        result = suite.runpytest(*arguments, "--kaizen-record=replay")
    result.assert_outcomes(failed=2)
    assert shown[1] in result.stdout.str()


def test_what_a_team_does_reads_as_shown(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command of the session, in its order, down to the page that shows the run."""
    serve(suite, faithful=True)
    shown = re.search(r"^<!-- team -->\n```\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert shown is not None
    commands = [shlex.split(line)[1:] for line in shown[1].splitlines() if line.startswith("$ ")]
    assert [words[0] for words in commands] == ["kaizen", "kaizen", "export", "pytest"]
    program = [sys.executable, "-m", "pytest_kaizen.cli", *commands[0][1:], "--port", "0"]
    with subprocess.Popen(program, cwd=suite.path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = process.stdout.readline() + process.stdout.readline()
            capsys.readouterr()
            assert main(["--root", str(suite.path), *commands[1][1:]]) == 0
            key = capsys.readouterr().out
            url = told.split()[2]
            values = {"KAIZEN_BASE_URL": url, "KAIZEN_API_KEY": key.strip()}
            assert [word.partition("=")[0] for word in commands[2][1:]] == list(values)
            for name, value in values.items():
                monkeypatch.setenv(name, value)
            arguments = (*commands[3][1:], "--kaizen-upload-timeout=60", "-p", "no:asyncio")
            result = suite.runpytest(*arguments)
            end = result.stdout.str()
            end = end[end.index("kaizen: kaizen: ") :]
            run = re.findall(r"run (\d{8}-\d{6}-\w{6})", end)
            assert run[0] in runs_page(url, key.strip())
        finally:
            process.terminate()
    lines = shown[1].splitlines(keepends=True)
    export = lines[5].replace("http://127.0.0.1:8000", url).replace("kz_SECOND", key.strip())
    happened = [lines[0], told, lines[3], key, export, *lines[6:8], end]
    assert same("".join(happened)) == same(shown[1])


def runs_page(url: str, key: str) -> str:
    """Return the page of the runs, as somebody who has signed in with a key sees it."""
    with httpx.Client(base_url=url, follow_redirects=True) as client:
        token = re.search(r'name="csrf" value="([^"]+)"', client.get("/ui/sign-in").text)
        assert token is not None
        client.post("/ui/sign-in", data={"csrf": token[1], "key": key})
        return client.get("/ui/runs").text


def same(session: str) -> str:
    """Return what was said, without what every time is another."""
    session = re.sub(r"kz_[\w-]+", "KEY", re.sub(r"run \d{8}-\d{6}-\w{6}", "run ID", session))
    return re.sub(r"127\.0\.0\.1:\d+", "HOST", session).strip()


def test_settings_are_read() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", "\n".join(MANUAL.values()), re.MULTILINE | re.DOTALL)
    read = [KaizenYaml.model_validate(found) for found in map(yaml.safe_load, blocks) if "name" not in found]
    assert len(read) == len(blocks) - 1 == 5


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


def test_links_lead_somewhere() -> None:
    prose = {page: re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S) for page, text in MANUAL.items()}
    links = [(page, link) for page in prose for link in re.findall(r"\]\(([^)]+)\)", prose[page])]
    assert len(links) > 30
    for page, link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(prose[target]), link


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
