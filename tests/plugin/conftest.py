"""A harness in which a test reads as a story: files in; outcomes, report and store out."""

from __future__ import annotations

import gc
import os
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

# pytester throws away what a run imported. What is imported here is imported once for all tests.
import pytest_kaizen.plugin.fixture
import pytest_kaizen.plugin.session  # noqa: F401
from pytest_kaizen.models import Case, GateResult, Run, Sample, Span, Trace
from pytest_kaizen.scripted import ScriptedLLM
from pytest_kaizen.store import Store

CONFTEST = """
import gc
import os
import httpx
import pytest

# In a process of its own, as in `run`.
gc.disable()

def call(text="hello", system="", model="claude-haiku-4-5"):
    request = {
        "model": model,
        "max_tokens": 50,
        "system": system,
        "messages": [{"role": "user", "content": text}],
    }
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
    with httpx.Client(verify=False, headers={"x-api-key": "secret-key-of-the-suite"}) as client:
        response = client.post(url, json=request)
    response.raise_for_status()
    return response.json()["content"][0]["text"]

@pytest.fixture
def ask():
    return call
"""


class Suite:
    """Somebody's test suite, in a folder of its own.

    Attributes:
        llm: The model server that ``ask`` in the suite's tests calls, and the judge.
        root: The suite's folder.
        result: What the last run came to.
    """

    def __init__(self, pytester: pytest.Pytester, llm: ScriptedLLM) -> None:
        self._pytester = pytester
        self.llm = llm
        self.root: Path = pytester.path
        self.result: pytest.RunResult
        self.write(CONFTEST, "conftest.py")

    def write(self, text: str, name: str = "test_it.py") -> Path:
        """Write a file of the suite."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def add_to_conftest(self, text: str) -> None:
        self.write(CONFTEST + textwrap.dedent(text), "conftest.py")

    def prompts(self, task: str, *texts: str) -> None:
        """Write the versions of a task's prompt."""
        for number, text in enumerate(texts, start=1):
            self.write(text, f"prompts/{task}/{number}.md")

    def run(
        self,
        *args: str,
        plugins: Sequence[str] = ("kaizen",),
        code: int | None = None,
        on: bool = True,
        **outcomes: int,
    ) -> list[str]:
        """Run the suite, with ``--kaizen`` unless told otherwise.

        Of the other plugins that are installed, only those named by ``plugins`` take part.

        Args:
            args: Further arguments.
            plugins: Entry points of plugins, such as ``asyncio``.
            code: The exit status it must have.
            on: Whether with ``--kaizen``.
            outcomes: What it must come to, such as ``passed=2``; nothing else may have come of it.

        Returns:
            What it printed, line by line.
        """
        __tracebackhide__ = True
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            loaded = [f"-p{name}" for name in plugins]
            # CPython before 3.11.8 breaks ast.parse, which pytest calls for every failure, when the garbage
            # collector runs Python code in the midst of it and that, or another thread, parses too.
            gc.disable()
            try:
                self.result = self._pytester.runpytest_inprocess(
                    *loaded, *(["--kaizen"] if on else []), *args, no_reraise_ctrlc=True
                )
            finally:
                gc.enable()
        self._check(code, outcomes)
        return self.result.outlines

    def run_alone(self, *args: str, code: int | None = None, on: bool = True, **outcomes: int) -> list[str]:
        """Run the suite as ``run`` does, in a process of its own."""
        __tracebackhide__ = True
        self.result = self._pytester.runpytest_subprocess(*(["--kaizen"] if on else []), *args)
        self._check(code, outcomes)
        return self.result.outlines

    def _check(self, code: int | None, outcomes: dict[str, int]) -> None:
        __tracebackhide__ = True
        if outcomes:
            found = {name: count for name, count in self.result.parseoutcomes().items() if name != "warnings"}
            expected = {name.rstrip("_"): count for name, count in outcomes.items()}
            assert found == expected, self.result.stdout.str()
        if code is not None:
            assert self.result.ret == code, self.result.stdout.str() + self.result.stderr.str()

    @property
    def text(self) -> str:
        """What the last run printed."""
        return self.result.stdout.str()

    @property
    def errors(self) -> str:
        """What the last run wrote to stderr."""
        return self.result.stderr.str()

    @property
    def last_line(self) -> str:
        return [line for line in self.result.outlines if line.strip()][-1]

    @property
    def failure(self) -> list[str]:
        """The lines below the heading of the only failure that pytest shows."""
        lines = self.result.outlines
        start = next(i for i, line in enumerate(lines) if line.startswith("____"))
        rest = lines[start + 1 :]
        end = next(i for i, line in enumerate(rest) if line.startswith(("====", "____", "----")))
        return [line for line in rest[:end] if line]

    @property
    def table(self) -> dict[str, dict[str, str]]:
        """The table of the report: by task the cells by column."""
        lines = self.result.outlines
        top = next(i for i, line in enumerate(lines) if line.startswith("task "))
        rule = lines[top + 1]
        ends = [i for i in range(1, len(rule) + 1) if rule[i - 1] == "-" and rule[i : i + 1] != "-"]
        starts = [i for i in range(len(rule)) if rule[i] == "-" and (i == 0 or rule[i - 1] != "-")]
        rows = {}
        for line in lines[top + 2 :]:
            cells = [line[a:b].strip() for a, b in zip(starts, [*ends[:-1], None], strict=True)]
            headers = [lines[top][a:b].strip() for a, b in zip(starts, [*ends[:-1], None], strict=True)]
            if not line.strip() or len(line) < starts[-1] or not cells[1]:
                break
            rows[cells[0]] = dict(zip(headers, cells, strict=True))
        return rows

    # --- what is on disk

    @property
    def database(self) -> Path:
        return self.root / ".kaizen" / "kaizen.db"

    @property
    def store(self) -> Store:
        """The store, to read; the caller's `with` closes it."""
        return Store.open(self.database, readonly=True)

    @property
    def stored_run(self) -> Run:
        with self.store as store:
            return store.run("last")

    @property
    def cases(self) -> dict[str, Case]:
        """The cases of the last run, by the name of their test."""
        with self.store as store:
            return {case.id.rpartition("::")[2]: case for case in store.cases("last")}

    @property
    def sample(self) -> Sample:
        """The only sample of the only case of the last run."""
        (case,) = self.cases.values()
        (sample,) = case.samples
        return sample

    @property
    def trace(self) -> Trace:
        return self.sample.trace

    @property
    def span(self) -> Span:
        (span,) = self.trace.spans
        return span

    @property
    def gate(self) -> GateResult:
        """The only gate of the only case of the last run."""
        (case,) = self.cases.values()
        (gate,) = case.gates
        return gate


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    with ScriptedLLM() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        server.reply("an answer")
        yield server


@pytest.fixture
def suite(pytester: pytest.Pytester, llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch) -> Suite:
    for name in [name for name in os.environ if name.startswith("KAIZEN_")]:
        monkeypatch.delenv(name)
    return Suite(pytester, llm)
