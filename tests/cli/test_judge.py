"""``kaizen judge calibrate``, with a local server as the judge."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic  # noqa: F401 - imported once, not by every command
import pytest

from pytest_kaizen.cli import main
from pytest_kaizen.scripted import Request, ScriptedLLM
from pytest_kaizen.store import Store

RUBRIC = """\
name: summary
criteria:
  - {name: faithful, description: States only what is there., weight: 0.75}
  - {name: short, check: {max_length: 4}, weight: 0.25}
"""
# What people said of the outputs; the judge says yes to all that has an a.
LABELS = "input,output,faithful\n" + "\n".join(
    f"{number},{output},{label}"
    for number, (output, label) in enumerate([("a", "yes")] * 6 + [("b", "no")] * 3 + [("ab", "no")])
)

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``kaizen judge calibrate …`` in a project's folder; gives status, output and error output."""
    (tmp_path / "kaizen.yaml").write_text("judge: {model: claude-haiku-4-5}\n")
    (tmp_path / "rubric.yaml").write_text(RUBRIC)
    (tmp_path / "labels.csv").write_text(LABELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAIZEN_STORE", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["judge", "calibrate", "labels.csv", "--rubric", "rubric.yaml", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    with ScriptedLLM() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)

        def answer(request: Request) -> str:
            output = re.search(r"BEGIN OUTPUT \w+\n(.*)\n", request.last_user_text)
            assert output is not None
            found: dict[str, Any] = {"reason": "r", "score": "yes" if "a" in output[1] else "no"}
            return json.dumps({"faithful": found})

        server.reply(answer)
        yield server


def test_calibrate(command: Command, llm: ScriptedLLM, tmp_path: Path) -> None:
    status, output, error = command()
    assert status == 0
    lines = output.splitlines()
    assert re.fullmatch(r"rubric summary \(\w{12}\), judge claude-haiku-4-5, 1 vote, 10 labels", lines[0])
    assert lines[2].split() == ["criterion", "accuracy", "kappa", "bias"]
    assert re.split(r"  +", lines[4]) == [
        "faithful",
        "0.90 [0.60, 0.98]",
        "0.78 [0.12, 0.96]",
        "+0.10 [-0.20, 0.36]",
    ]
    assert lines[6] == "faithful: people's answers down, the judge's across"
    assert [line.split() for line in lines[7:]] == [
        ["no", "yes"],
        ["---", "----", "-----"],
        ["no", "3", "1"],
        ["yes", "0", "6"],
    ]
    assert error.startswith("10 calls, $0.00")
    assert error.endswith(f"; stored in {tmp_path / '.kaizen' / 'kaizen.db'}\n")
    assert {request.model for request in llm.requests} == {"claude-haiku-4-5"}


def test_what_is_stored_is_what_is_printed(command: Command, llm: ScriptedLLM, tmp_path: Path) -> None:
    status, output, error = command("--json", "--model", "another-model")
    assert status == 0, error
    assert {request.model for request in llm.requests} == {"another-model"}
    with Store.open(tmp_path / ".kaizen" / "kaizen.db", readonly=True) as store:
        (found,) = store.calibrations("summary")
        assert store.calibrations("other") == []
    assert json.loads(output) == json.loads(found.model_dump_json())
    assert (found.model, found.votes, found.labels) == ("another-model", 1, 10)
    assert found.pairs[0] == (1.0, 1.0)
    assert found.pairs[6] == (0.25, 0.25)
    assert found.pairs[9] == (0.25, 1.0)


def test_a_second_time_costs_nothing_and_the_newest_is_first(
    command: Command, llm: ScriptedLLM, tmp_path: Path
) -> None:
    command()
    assert command()[2].startswith("0 calls, $0.0000")
    assert len(llm.requests) == 10
    with Store.open(tmp_path / ".kaizen" / "kaizen.db", readonly=True) as store:
        newest, older = store.calibrations("summary")
    assert newest.created_at > older.created_at


@pytest.mark.usefixtures("llm")
def test_labels_of_the_whole(command: Command, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("input,output,score\n1,a,0.9\n2,b,0.2\n")
    status, output, _ = command("--json")
    assert status == 0
    found = json.loads(output)
    assert [agreement["name"] for agreement in found["criteria"]] == ["score"]
    assert found["pairs"] == [[0.9, 1.0], [0.2, 0.25]]


def test_a_judge_that_fails_stores_nothing(command: Command, llm: ScriptedLLM, tmp_path: Path) -> None:
    llm.reply("garbage", when=lambda request: "\nab\n" in request.last_user_text)
    status, output, error = command()
    assert (status, output) == (1, "")
    assert error.startswith(
        "kaizen: labels.csv:11: summary.faithful: judge: claude-haiku-4-5 gave no readable answer in 3 "
    )
    assert error.endswith("answers that were given are kept\n")
    with Store.open(tmp_path / ".kaizen" / "kaizen.db", readonly=True) as store:
        assert store.calibrations("summary") == []


def test_bad_labels_cost_no_call(command: Command, llm: ScriptedLLM, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("input,output,faithful\n1,a,maybe\n")
    assert command() == (2, "", "kaizen: labels.csv:2: faithful: expected yes or no (found 'maybe')\n")
    assert llm.requests == []


def test_votes_belong_to_the_calibration(command: Command, llm: ScriptedLLM, tmp_path: Path) -> None:
    (tmp_path / "rubric.yaml").write_text(RUBRIC + "votes: 2\n")
    assert json.loads(command("--json")[1])["votes"] == 2
    assert len(llm.requests) == 20


@pytest.mark.usefixtures("llm")
def test_list(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    command()
    assert main(["judge", "list"]) == 0
    heading, _, row = capsys.readouterr().out.splitlines()
    assert re.split(r"  +", heading) == [
        "rubric",
        "sha256",
        "judge",
        "votes",
        "labels",
        "weakest",
        "kappa",
        "created",
    ]
    assert re.split(r"  +", row)[2:7] == ["claude-haiku-4-5", "1", "10", "faithful", "0.78 [0.12, 0.96]"]
    assert main(["judge", "list", "--json"]) == 0
    assert [found["rubric"] for found in json.loads(capsys.readouterr().out)] == ["summary"]


@pytest.mark.usefixtures("command")
def test_list_without_any(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store.open(tmp_path / ".kaizen" / "kaizen.db").close()
    assert main(["judge", "list"]) == 0
    assert capsys.readouterr().out.startswith("no calibrations yet; make one: `kaizen judge calibrate ")
