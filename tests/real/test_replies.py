"""Real replies of one model under two prompts, recorded, scored and gated from end to end."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_kaizen.models import Case, Outcome, Run, TaskSummary, Trace
from pytest_kaizen.scripted import Reply, Request, ScriptedLLM
from pytest_kaizen.store import Store

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PROMPTS = {
    1: "You are a helpful assistant.",
    2: "You are a helpful assistant. Answer as concisely as you can.",
}
FILES = {1: DATA / "replies_claude-2.1.jsonl", 2: DATA / "replies_claude-2.1_concise.jsonl"}
MEANS = {1: 0.157, 2: 0.092}
CASES = 805
#: Characters in an event of a stream: the SDK takes a fifth of a millisecond for each.
PIECE = 300

pytestmark = pytest.mark.skipif(
    not all(path.exists() for path in FILES.values()), reason=f"needs the replies in {DATA}"
)

# The SDK warns that the model is retired.
PYTEST_INI = """\
[pytest]
filterwarnings =
    error
    ignore::DeprecationWarning
"""
KAIZEN_YAML = """\
tasks:
  answer:
    gate:
      - {metric: score, min: 0.12}
"""
# Every other case is streamed; plain and streamed answers must come out alike.
SUITE = """\
import json
from pathlib import Path

import anthropic
import pytest

ROWS = {
    version: [json.loads(line) for line in Path(file).read_text(encoding="utf-8").split("\\n") if line]
    for version, file in FILES.items()
}
CLIENT = anthropic.Anthropic()


@pytest.mark.kaizen(task="answer")
@pytest.mark.parametrize("index", range(len(ROWS[1])))
def test_answer(kaizen, index):
    prompt = kaizen.prompt("answer")
    row = ROWS[prompt.version][index]
    request = {
        "model": "claude-2.1",
        "max_tokens": 4096,
        "system": prompt.text,
        "messages": [{"role": "user", "content": row["instruction"]}],
    }
    if index % 2:
        with CLIENT.messages.stream(**request) as stream:
            message = stream.get_final_message()
    else:
        message = CLIENT.messages.create(**request)
    assert message.content[0].text == row["output"]
    kaizen.score("judge", row["score"])
"""


@dataclass(frozen=True)
class Row:
    instruction: str
    output: str
    score: float


@dataclass(frozen=True)
class Finished:
    """One run of the suite under one version, and what the store has of it."""

    exit_status: int
    lines: list[str]
    run: Run
    cases: list[Case]

    @property
    def task(self) -> TaskSummary:
        (task,) = self.run.tasks
        return task

    @property
    def traces(self) -> list[Trace]:
        return [sample.trace for case in self.cases for sample in case.samples]


Runs = dict[int, Finished]


def rows(version: int) -> list[Row]:
    lines = FILES[version].read_text(encoding="utf-8").split("\n")
    return [Row(**json.loads(line)) for line in lines if line]


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedLLM]:
    """Answer as the real model did under the prompt that it is sent."""
    outputs = {(PROMPTS[version], row.instruction): row.output for version in FILES for row in rows(version)}

    def answer(request: Request) -> Reply:
        text = outputs[request.system, request.last_user_text]
        return Reply(text, chunks=[text[start : start + PIECE] for start in range(0, len(text), PIECE)])

    with ScriptedLLM() as llm:
        llm.reply(answer)
        yield llm


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    (folder / "kaizen.yaml").write_text(KAIZEN_YAML, encoding="utf-8")
    (folder / "pytest.ini").write_text(PYTEST_INI, encoding="utf-8")
    (folder / "prompts" / "answer").mkdir(parents=True)
    for version, text in PROMPTS.items():
        (folder / "prompts" / "answer" / f"{version}.md").write_text(text, encoding="utf-8")
    files = {version: str(path) for version, path in FILES.items()}
    (folder / "test_answer.py").write_text(f"FILES = {files!r}\n{SUITE}", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def runs(suite: Path, provider: ScriptedLLM) -> Runs:
    """Run the suite under both versions, into one store."""
    return {version: _run(suite, provider, version) for version in FILES}


def _run(suite: Path, provider: ScriptedLLM, version: int) -> Finished:
    ours = ("ANTHROPIC_", "OPENAI_", "PYTEST_", "KAIZEN_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--kaizen"]
    done = subprocess.run(
        [*command, "--kaizen-prompt-version", f"answer={version}"],
        cwd=suite,
        env=environment | provider.environ,
        capture_output=True,
        encoding="utf-8",
        timeout=900,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    with Store.open(suite / ".kaizen" / "kaizen.db", readonly=True) as store:
        return Finished(done.returncode, done.stdout.splitlines(), store.run("last"), store.cases("last"))


def test_both_runs_are_in_one_store(runs: Runs, suite: Path) -> None:
    with Store.open(suite / ".kaizen" / "kaizen.db", readonly=True) as store:
        assert [run.id for run in store.runs()] == [runs[2].run.id, runs[1].run.id]
        assert len(store.traces(limit=10_000)) == 2 * CASES
        assert [(v.task, v.version, v.text) for v in store.prompts()] == [
            ("answer", version, text) for version, text in PROMPTS.items()
        ]


@pytest.mark.parametrize("version", FILES)
def test_every_text_is_stored_as_it_was(runs: Runs, version: int) -> None:
    finished = runs[version]
    assert [case.id for case in finished.cases] == [
        f"test_answer.py::test_answer[{index}]" for index in range(CASES)
    ]
    assert len(finished.traces) == CASES
    for trace, row in zip(finished.traces, rows(version), strict=True):
        (span,) = trace.spans
        assert [(message.role, message.text) for message in span.input] == [
            ("system", PROMPTS[version]),
            ("user", row.instruction),
        ]
        assert [(message.role, message.text) for message in span.output] == [("assistant", row.output)]
        assert span.text == trace.output == row.output
        assert [(score.name, score.value) for score in trace.scores] == [("judge", row.score)]


@pytest.mark.parametrize("version", FILES)
def test_every_call_is_whole(runs: Runs, version: int) -> None:
    for index, trace in enumerate(runs[version].traces):
        (span,) = trace.spans
        assert (span.provider, span.model, span.error) == ("anthropic", "claude-2.1", None)
        assert span.metadata.get("stream", False) is bool(index % 2)
        assert "complete" not in span.metadata
        assert "note" not in span.metadata
        assert len(span.attempts) == 1


@pytest.mark.parametrize("version", FILES)
def test_mean_is_reproduced(runs: Runs, version: int) -> None:
    finished = runs[version]
    stored = [sample.metrics["score"] for case in finished.cases for sample in case.samples]
    given = [row.score for row in rows(version)]
    assert stored == given
    assert round(math.fsum(stored) / CASES, 3) == MEANS[version]
    assert finished.task.score == pytest.approx(math.fsum(given) / CASES, abs=1e-12)


@pytest.mark.parametrize("version", FILES)
def test_mean_is_in_the_report(runs: Runs, version: int, suite: Path) -> None:
    (line,) = [line for line in runs[version].lines if line.startswith("answer ")]
    cells = line.split()
    assert cells[:3] == ["answer", str(CASES), str(CASES)]
    assert cells[3] == f"{MEANS[version]:.2f}"
    assert f"v{version}" in cells
    command = "import sys; from pytest_kaizen.cli import main; sys.exit(main())"
    arguments = ["runs", "show", runs[version].run.id, "--json"]
    shown = subprocess.run(
        [sys.executable, "-c", command, *arguments],
        cwd=suite,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    (task,) = json.loads(shown.stdout)["tasks"]
    assert round(task["score"], 3) == MEANS[version]


@pytest.mark.parametrize(("version", "outcome", "exit_status"), [(1, Outcome.PASS, 0), (2, Outcome.FAIL, 1)])
def test_gate_tells_the_prompts_apart(runs: Runs, version: int, outcome: Outcome, exit_status: int) -> None:
    finished = runs[version]
    (gate,) = finished.task.gates
    assert gate.outcome is outcome
    assert gate.figure == pytest.approx(MEANS[version], abs=0.0005)
    assert (gate.samples, gate.missing) == (CASES, 0)
    assert finished.exit_status == finished.run.exit_status == exit_status
    # No case failed by itself: the verdict is the task's alone.
    assert {case.outcome for case in finished.cases} == {"passed"}
    assert any(line.startswith(f"{CASES} passed") for line in finished.lines)
