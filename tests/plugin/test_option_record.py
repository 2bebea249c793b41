"""``--kaizen-record``: what is called, replayed and kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic  # noqa: F401 - imported once, not by every run
import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.models import SpanKind

if TYPE_CHECKING:
    from pytest_kaizen.scripted import Request
    from tests.plugin.conftest import Suite

TEST = """
    import pytest

    @pytest.mark.kaizen("greet")
    def test_it(ask):
        assert ask("hello") == "an answer"
"""


def cassette(suite: Suite, name: str = "test_it") -> dict[str, Any]:
    data: dict[str, Any] = json.loads((suite.root / f"cassettes/test_it/{name}.json").read_text("utf-8"))
    return data


def calls(suite: Suite) -> int:
    return len(suite.llm.requests)


def test_live_keeps_nothing(suite: Suite) -> None:
    suite.write(TEST)
    for arguments in ([], ["--kaizen-record=live"]):
        suite.run(*arguments, passed=1, code=0)
        assert not suite.span.replayed
    assert calls(suite) == 2
    assert not (suite.root / "cassettes").exists()


def test_new_records_once_and_replays_then(suite: Suite) -> None:
    suite.write(TEST)
    suite.run("--kaizen-record=new", passed=1, code=0)
    live = suite.span
    assert (live.replayed, live.text) == (False, "an answer")
    for mode in ("new", "replay"):
        suite.run(f"--kaizen-record={mode}", passed=1, code=0)
        span = suite.span
        assert (span.replayed, span.text, span.usage) == (True, "an answer", live.usage)
        assert (span.cost_usd, span.metadata) == (live.cost_usd, live.metadata)
        assert span.latency_ms == pytest.approx(live.latency_ms, abs=0.06)
    assert calls(suite) == 1
    assert cassette(suite)["test"] == "test_it"
    assert "secret-key-of-the-suite" not in json.dumps(cassette(suite))


def test_the_command_knows_what_was_used(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.write("""
        import anthropic

        def test_it(ask, request):
            body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
            with anthropic.Anthropic() as client:
                client.messages.create(**body)
            ask("two" if request.config.getoption("verbose") else "one")
    """)
    suite.llm.fail(429, retry_after=0)
    suite.run("--kaizen-record=new", passed=1)
    monkeypatch.chdir(suite.root)
    assert main(["cassettes", "check"]) == 0
    assert "1 cassette: nothing to look at" in capsys.readouterr().out
    assert [len(span.metadata["records"]) for span in suite.trace.spans] == [2, 1]
    suite.run("--kaizen-record=new", "-v", passed=1)
    capsys.readouterr()
    assert main(["cassettes", "check"]) == 1
    assert capsys.readouterr().out.splitlines()[:2] == [
        "cassettes/test_it/test_it.json: exchange 2 was not used by the last run of its test",
        "1 cassette: 1 to look at",
    ]


def test_the_recorded_cost_counts_when_prices_have_changed(suite: Suite) -> None:
    suite.write(TEST)
    suite.add_to_conftest("def pytest_kaizen_price(model, usage): return 0.5")
    suite.run("--kaizen-record=new", passed=1)
    suite.add_to_conftest("def pytest_kaizen_price(model, usage): return 0.7")
    suite.run("--kaizen-record=replay", passed=1)
    assert suite.span.cost_usd == 0.5


def test_replay_without_a_record_is_an_error_that_names_the_line(suite: Suite) -> None:
    suite.write(TEST)
    suite.run("--kaizen-record=replay", failed=1, code=1)
    assert suite.failure == [
        "test_it.py:6: no record of this request in cassettes/test_it/test_it.json: "
        "POST http://127.0.0.1/v1/messages",
        "there is no such cassette yet",
        "to record what is missing, run once with --kaizen-record=new",
    ]
    assert calls(suite) == 0
    assert not (suite.root / "cassettes").exists()


def test_a_missing_record_that_the_test_hides_still_fails_it(suite: Suite) -> None:
    suite.write("""
        def test_it(ask):
            try:
                ask("hello")
            except BaseException:
                pass
    """)
    suite.run("--kaizen-record=replay", failed=1, code=1)
    assert suite.failure[0].startswith("no record of this request in cassettes/test_it/test_it.json")


def test_a_changed_prompt_calls_only_for_its_cases(suite: Suite) -> None:
    suite.prompts("greet", "Be kind.")
    suite.prompts("part", "Say bye.")
    suite.write("""
        import pytest

        @pytest.mark.parametrize("name", ["ann", "bob"])
        @pytest.mark.parametrize("task", ["greet", "part"])
        def test_it(kaizen, ask, name, task):
            ask(name, system=kaizen.prompt(task).text)
    """)
    suite.run("--kaizen-record=new", passed=4)
    suite.prompts("greet", "Be kind.", "Be very kind.")
    suite.run("--kaizen-record=replay", passed=2, failed=2, code=1)
    assert '-    "system": "Be kind."' in suite.text
    assert '+    "system": "Be very kind."' in suite.text
    assert calls(suite) == 4
    suite.run("--kaizen-record=new", passed=4)
    assert calls(suite) == 6
    found = [exchange["prompts"] for exchange in cassette(suite, "test_it-greet-ann")["exchanges"]]
    assert [prompts["greet"]["version"] for prompts in found] == [1, 2]


def test_all_drops_what_is_no_longer_called_once_the_test_passes_its_end(suite: Suite) -> None:
    test = """
        def test_it(ask):
            ask("one")
            {}
            ask("three")
    """
    suite.write(test.format('ask("two")'))
    suite.run("--kaizen-record=new", passed=1)
    suite.write(test.format("raise ValueError"))
    suite.run("--kaizen-record=all", failed=1)
    assert len(cassette(suite)["exchanges"]) == 3
    suite.write(test.format("pass"))
    suite.run("--kaizen-record=all", passed=1)
    asked = [
        exchange["request"]["json"]["messages"][0]["content"] for exchange in cassette(suite)["exchanges"]
    ]
    assert asked == ["one", "three"]
    assert calls(suite) == 3 + 1 + 2


def test_calls_of_fixtures_and_of_the_judge_belong_to_the_test(suite: Suite) -> None:
    def is_judge(request: Request) -> bool:
        return request.schema is not None

    suite.llm.reply(json={"faithful": {"reason": "fine", "score": "yes"}}, when=is_judge)
    suite.write("name: summary\ncriteria:\n  - {name: faithful, description: Is true.}", "rubric.yaml")
    suite.write("""
        import pytest

        @pytest.fixture
        def before(ask):
            return ask("in a fixture")

        @pytest.mark.kaizen("sum")
        @pytest.mark.kaizen_rubric("rubric.yaml", min=0.8)
        def test_it(ask, before):
            ask("hello")
    """)
    for mode, expected in (("live", 3), ("new", 6), ("new", 6), ("replay", 6)):
        # The answers in the store are of no use to somebody who has the cassettes alone.
        suite.run(f"--kaizen-record={mode}", passed=1, code=0)
        assert calls(suite) == expected
    kinds = [(span.kind, span.replayed) for span in suite.trace.spans]
    assert kinds == [(SpanKind.LLM, True), (SpanKind.LLM, True), (SpanKind.JUDGE, True)]
    path = suite.root / "cassettes/test_it/test_it.json"
    data = cassette(suite)
    data["exchanges"] = data["exchanges"][:2]
    path.write_text(json.dumps(data), encoding="utf-8")
    suite.run("--kaizen-record=replay", failed=1, code=1)
    assert suite.failure[0].startswith("no record of this request in cassettes/test_it/test_it.json")
    assert suite.gate.outcome != "pass"


def test_a_test_with_its_own_server_is_live(suite: Suite) -> None:
    suite.write("""
        def test_it(kaizen_llm, ask):
            kaizen_llm.reply("scripted")
            assert ask() == "scripted"
            assert len(kaizen_llm.record) == 1
    """)
    for mode in ("replay", "new", "all"):
        suite.run(f"--kaizen-record={mode}", passed=1, code=0)
    assert not (suite.root / "cassettes").exists()


def test_a_rerun_replays_from_the_start(suite: Suite) -> None:
    suite.write("""
        tries = []

        def test_it(ask):
            tries.append(ask("one") + ask("two"))
            assert len(tries) > 1
    """)
    suite.run("--kaizen-record=new", "--reruns", "2", plugins=("kaizen", "rerunfailures"), passed=1, rerun=1)
    assert calls(suite) == 2
    assert [span.replayed for span in suite.trace.spans] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "files", "place"),
    [
        (["--kaizen-record=once"], {}, "--kaizen-record"),
        ([], {"pytest.ini": "[pytest]\nkaizen_record = once"}, "ini key kaizen_record"),
        ([], {"kaizen.yaml": "record: once"}, "kaizen.yaml: record"),
    ],
)
def test_a_wrong_mode(suite: Suite, arguments: list[str], files: dict[str, str], place: str) -> None:
    suite.write(TEST)
    for name, text in files.items():
        suite.write(text, name)
    suite.run(*arguments, code=4)
    assert f"{place}: expected one of live, replay, new, all (found 'once')" in suite.errors


def test_ini_key_and_project_file(suite: Suite) -> None:
    suite.write(TEST)
    suite.write("[pytest]\nkaizen_record = new", "pytest.ini")
    suite.run(passed=1)
    suite.write("", "pytest.ini")
    suite.write("record: replay", "kaizen.yaml")
    suite.run(passed=1)
    assert suite.span.replayed
    assert calls(suite) == 1


def test_what_may_differ_is_said_in_the_project_file(suite: Suite) -> None:
    suite.write("""
        import itertools, os
        import httpx

        def test_it(request):
            number = request.config.getoption("verbose")
            body = {
                "model": "m", "max_tokens": 5, "session": {"id": number},
                "messages": [{"role": "user", "content": f"today is day {number}"}],
            }
            url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
            assert httpx.post(url, json=body, verify=False).status_code == 200
    """)
    suite.run("--kaizen-record=new", passed=1)
    suite.run("--kaizen-record=replay", "-v", failed=1)
    suite.write("cassettes: {ignore_fields: [session.id], ignore_text: ['day \\d+']}", "kaizen.yaml")
    suite.run("--kaizen-record=replay", "-v", passed=1)
    suite.write("cassettes: {ignore_text: ['(']}", "kaizen.yaml")
    suite.run(code=4)
    assert "kaizen.yaml:1: cassettes.ignore_text.0: not a regular expression: " in suite.errors


def test_a_broken_cassette_is_one_clear_error(suite: Suite) -> None:
    suite.write(TEST)
    path = suite.write("<<<<<<< HEAD", "cassettes/test_it/test_it.json")
    suite.run("--kaizen-record=replay", failed=1, code=1)
    assert suite.failure == [
        f"test_it.py:6: {path}:1: not valid JSON: Expecting value; take it back from version control, or "
        "delete it and record anew with --kaizen-record=new"
    ]


def test_a_cassette_that_cannot_be_written_fails_the_test(suite: Suite) -> None:
    suite.write(TEST)
    suite.write("in the way", "cassettes")
    suite.run("--kaizen-record=new", failed=1, code=1)
    assert "cassettes/test_it/test_it.json: cannot be written: " in suite.failure[0]
    assert "make the folder writable, or run without recording" in suite.failure[0]
