"""``--kaizen-report`` and what CI systems read of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import jsonschema
import pytest

import pytest_kaizen.report.as_json as run_document

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

FAILS = """
    import pytest

    @pytest.mark.kaizen("greet")
    @pytest.mark.kaizen_threshold("warmth", min=0.8)
    @pytest.mark.parametrize("who", ["a", "b"])
    def test_it(kaizen, ask, who):
        kaizen.prompt("greet")
        ask(f"hello {who}")
        kaizen.score("warmth", 0.9 if who == "a" else 0.25)
"""
WEAK_CASE = "warmth 0.25 [0.01, 0.88] >= 0.80: fail over 1 sample"


@pytest.fixture
def failing(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    suite.prompts("greet", "Greet.")
    suite.write("tasks: {greet: {gate: [{metric: warmth, min: 0.7}]}}", "kaizen.yaml")
    suite.write(FAILS, "tests/test_it.py")
    return suite


def test_files(failing: Suite) -> None:
    failing.run("--kaizen-report=out/run.md", "--kaizen-report", "run.json", passed=1, failed=1, code=1)
    markdown = (failing.root / "out/run.md").read_text(encoding="utf-8")
    assert f"| `tests/test_it.py::test_it[b]` | ❌ `{WEAK_CASE}` |" in markdown
    assert "❌ `FAILED on a whole task: greet: warmth 0.57" in markdown
    report = json.loads((failing.root / "run.json").read_text(encoding="utf-8"))
    published = Path(run_document.__file__).with_name("run.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(report, json.loads(published))
    assert [case["outcome"] for case in report["cases"]] == ["passed", "failed"]
    trace = report["cases"][1]["samples"][0]["trace_id"]
    with failing.store as store:
        assert store.trace(trace).case_id == "tests/test_it.py::test_it[b]"
    assert f"kaizen: report: {failing.root / 'run.json'}" in failing.text


def test_the_page_has_the_runs_before_and_what_each_case_did(failing: Suite) -> None:
    failing.run(code=1)
    failing.run("tests/test_it.py::test_it[a]", code=0)
    failing.run("--kaizen-report=run.html", code=1)
    page = (failing.root / "run.html").read_text(encoding="utf-8")
    held = re.findall(r'<script type="application/json" id="data-[^"]*">(.*?)</script>', page)
    run, *cases = [json.loads(text) for text in held]
    with failing.store as store:
        now, _, before = store.runs()
    # The run between them saw one case of two.
    assert [past["id"] for past in run["tasks"][0]["history"]] == [before.id, now.id]
    assert [case[0]["spans"][0]["input"][-1]["parts"][0]["content"] for case in cases] == [
        "hello a",
        "hello b",
    ]


def test_the_ini_key_takes_several_and_the_ending_must_be_known(failing: Suite) -> None:
    failing.write("[pytest]\nkaizen_report = a.md b.json", "pytest.ini")
    failing.run(code=1)
    assert (failing.root / "a.md").exists()
    assert (failing.root / "b.json").exists()
    failing.run("--kaizen-report=c.txt", code=4)
    assert (
        "--kaizen-report: expected a file that ends in .html, .md or .json (found 'c.txt')" in failing.errors
    )


def test_a_report_that_cannot_be_written_changes_no_outcome(failing: Suite) -> None:
    failing.write("", "taken")
    failing.run("--kaizen-report=taken/run.md", "tests/test_it.py::test_it[a]", passed=1, code=0)
    assert "kaizen: no report: " in failing.text


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_github(failing: Suite, monkeypatch: pytest.MonkeyPatch, workers: list[str]) -> None:
    page = failing.write("before\n", "summary.md")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(failing.root.parent))
    failing.run(*workers, plugins=["kaizen", *(["xdist"] if workers else [])], code=1)
    folder = failing.root.name
    commands = [line for line in failing.result.outlines if line.startswith("::error")]
    assert [command.partition("::warmth")[0] for command in commands] == [
        f"::error file={folder}/prompts/greet/1.md,line=1,title=kaizen%3A greet",
        f"::error file={folder}/tests/test_it.py,line=4,title=kaizen%3A greet",
    ]
    assert commands[1].endswith(f"::{WEAK_CASE.replace('%', '%25')}")
    assert page.read_text(encoding="utf-8").startswith("before\n## kaizen\n")


def test_junit_xml_has_the_figures_of_each_case(failing: Suite) -> None:
    failing.add_to_conftest("""
        def pytest_kaizen_price(model, usage):
            return 0.25
    """)
    failing.run("--junitxml=junit.xml", "--reruns=1", plugins=("kaizen", "rerunfailures"), code=1)
    tree = ElementTree.parse(failing.root / "junit.xml")
    cases = {case.get("name"): case for case in tree.iter("testcase")}
    found = [(prop.get("name"), prop.get("value")) for prop in cases["test_it[b]"].iter("property")]
    assert found == [
        ("kaizen_task", "greet"),
        ("kaizen_samples", "1"),
        ("kaizen_score", "0.2500"),
        ("kaizen_prompt", "greet v1"),
        ("kaizen_cost_usd", "0.250000"),
        ("kaizen_gates", f"fail: {WEAK_CASE}"),
    ]
