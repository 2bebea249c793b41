"""``kaizen experiments analyze`` and ``kaizen behaviors detect``, on this machine and over a server."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.models import Job
from pytest_kaizen.pipeline.desks.kalmia import LocalKalmia
from pytest_kaizen.platforms.kalmia.trace_wire import KalmiaTrace
from pytest_kaizen.scripted import Request, ScriptedLLM
from tests.cli.conftest import Cli, Side

README = Path(__file__).parents[2] / "README.md"


def answer(request: Request) -> str:
    """As a model that finds one thing in any traces, and every behaviour in those that loop."""
    asked = (request.schema or {}).get("properties", {})
    if "findings" in asked:
        finding = {"title": "It \x1b[31mrepeats", "detail": "Often.", "traces": [1]}
        return json.dumps({"findings": [finding]})
    score = 8 if "loops here" in request.last_user_text else 2
    return json.dumps({name: {"reason": "it says so", "score": score} for name in asked})


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    with ScriptedLLM() as scripted:
        for name, value in scripted.environ.items():
            monkeypatch.setenv(name, value)
        scripted.reply(answer)
        yield scripted


def put(side: Side, **outputs: str) -> None:
    side.put(
        *(
            KalmiaTrace.model_validate(
                {"id": name, "input": "go", "output": text, "metadata": {"correlationId": "c"}}
            )
            for name, text in outputs.items()
        )
    )


def asked(side: Side, *arguments: str) -> Any:
    status, out, err = side.cli(*arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_what_the_traces_of_an_experiment_show(side: Side, model: ScriptedLLM) -> None:
    put(side, one="out")
    experiment = asked(side, "experiments", "create", "e", "c")["id"]
    found = asked(
        side, "experiments", "analyze", experiment, "--question", "Why?", "--model", "claude-haiku-4-5"
    )
    job = found.pop("jobId")
    title = found["insights"][0]["title"]
    assert found == {"insights": [{"title": title, "detail": "Often.", "traceIds": ["one"]}]}
    assert "\x1b" not in title
    (request,) = model.requests
    assert (request.model, "Why?" in request.last_user_text) == ("claude-haiku-4-5", True)
    shown = asked(side, "jobs", "show", job)
    assert (shown["kind"], shown["status"], shown["spend"]["calls"]) == ("analysis", "completed", 1)

    # What a model has answered is not paid for twice.
    again = side.cli(
        "experiments", "analyze", experiment, "--question", "Why?", "--model", "claude-haiku-4-5"
    )
    assert again == (0, f"- {title}\n  Often.\n  traces: one\n", "")
    assert len(model.requests) == 1


def test_behaviours_are_found_and_kept_as_annotations(side: Side) -> None:
    put(side, one="loops here", two="out")
    for label in ("loops", "quits"):
        asked(side, "behaviors", "create", label, f"It {label}.")
    found = asked(side, "behaviors", "detect", "one", "two")
    assert found["checked"] == 2
    told = [(item["trace_id"], item["label"], item["confidence"]) for item in found["annotations"]]
    assert sorted(told) == [("one", "loops", 0.8), ("one", "quits", 0.8)]
    assert {item["source"] for item in asked(side, "annotations", "list")} == {"detected"}

    status, out, err = side.cli("behaviors", "detect", "two", "--label", "loops", "--min-confidence", "0.1")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "1 trace looked at"
    assert [line.split()[:4] for line in lines[4:]] == [["two", "loops", "0.20", "detected"]]
    assert side.cli("behaviors", "detect", "two", "--label", "loops")[1] == (
        "1 trace looked at\n\nno annotations\n"
    )


REFUSED = (
    (["experiments", "analyze", "none"], 1, "there is no experiment 'none'"),
    (["behaviors", "detect", "gone"], 1, "no trace 'gone'"),
    (["behaviors", "detect", "one", "--label", "rude"], 1, "there is no behaviour 'rude'"),
    (["behaviors", "detect", "one", "--min-confidence", "7"], 2, "expected a number from 0 to 1"),
    (["behaviors", "detect"], 2, "required: TRACE"),
)


def test_what_cannot_be(side: Side) -> None:
    put(side, one="out")
    asked(side, "behaviors", "create", "loops", "It loops.")
    for arguments, status, said in REFUSED:
        found, out, err = side.cli(*arguments)
        assert (found, out, said in err) == (status, "", True), (arguments, err)


def test_there_is_nothing_to_look_at_or_for(side: Side) -> None:
    put(side, one="out")
    status, _, err = side.cli("behaviors", "detect", "one")
    assert (status, "no behaviour is defined yet" in err) == (1, True)
    experiment = asked(side, "experiments", "create", "e", "nobody")["id"]
    status, _, err = side.cli("experiments", "analyze", experiment)
    assert (status, "has no traces yet" in err) == (1, True)


def test_a_model_that_fails_fails_the_job(here: Side, cli: Cli, model: ScriptedLLM) -> None:
    put(here, one="out")
    asked(here, "behaviors", "create", "loops", "It loops.")
    model.fail(401, message="no such key")
    status, out, err = cli("behaviors", "detect", "one")
    assert (status, out) == (1, "")
    assert "401" in err
    (job,) = asked(here, "jobs", "list")
    assert (job["kind"], job["status"], "401" in job["error"]) == ("detection", "failed", True)
    assert "--resume" not in cli("jobs", "show", "last")[1]


def test_what_is_broken_off_goes_on(
    here: Side, cli: Cli, model: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(here, one="loops here", two="out")
    asked(here, "behaviors", "create", "loops", "It loops.")
    say = LocalKalmia._say

    def interrupt(desk: LocalKalmia, job: Job) -> None:
        if job.step.startswith("trace 2"):
            raise KeyboardInterrupt
        say(desk, job)

    monkeypatch.setattr(LocalKalmia, "_say", interrupt)
    said = "broken off; the same command goes on with it\n"
    assert cli("behaviors", "detect", "one", "two") == (130, "", said)
    (job,) = asked(here, "jobs", "list")
    assert (job["status"], job["spend"]["calls"]) == ("stopped", 1)
    monkeypatch.setattr(LocalKalmia, "_say", say)
    assert asked(here, "behaviors", "detect", "one", "two")["checked"] == 2
    assert len(model.requests) == 2


def test_the_commands_of_the_readme(side: Side) -> None:
    text = README.read_text(encoding="utf-8").partition("<!-- commands -->\n```\n")[2].partition("\n```\n")[0]
    lines = [shlex.split(line, comments=True)[1:] for line in text.splitlines()]
    assert len(lines) == 9
    put(side, one="the parcel came")
    for words in lines:
        # A server takes whole ids.
        status, out, err = side.cli(*("one" if word == "last" else word for word in words))
        assert (status, err) == (0, ""), words
        assert out
