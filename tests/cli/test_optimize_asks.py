"""What ``kaizen optimize`` says and asks before it spends, and what it does not take from memory."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import anthropic  # noqa: F401 - imported once, not by every command
import pytest

from pytest_kaizen.optimize import Budget, CostEstimate
from pytest_kaizen.pipeline.search import dear_line
from pytest_kaizen.scripted import ScriptedLLM
from tests.cli.test_optimize import TEST, Command, after_a_run, command, llm

__all__ = ["after_a_run", "command", "llm"]

BEGUN = "greet: looking at the active prompt\n"
WARNING = (
    "greet: warning: no score says why it is not higher; give checks a reason or use a rubric, or the "
    "search has nothing to go by\n"
)
Terminal = Callable[[str], None]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let somebody sit at the terminal and type an answer."""

    def types(answer: str) -> None:
        keyboard = io.StringIO(answer)
        monkeypatch.setattr(keyboard, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", keyboard)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        # What moves is another test's.
        monkeypatch.setitem(sys.modules, "rich.console", None)

    return types


def test_scores_without_reasons(
    command: Command,
    pytester: pytest.Pytester,
    llm: ScriptedLLM,
    terminal: Terminal,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (pytester.path / "test_greet.py").write_text(TEST.replace(', "there is no Dear in it"', ""))
    pytester.runpytest_inprocess("--kaizen")
    capsys.readouterr()
    asked = len(llm.record)
    assert asked == 40
    terminal("n\n")
    assert command() == (1, "", f"{BEGUN}{WARNING}Go on? [y/N] ")
    # An end of the input is no consent.
    terminal("")
    assert command()[0] == 1
    assert len(llm.record) == asked
    terminal("y\n")
    status, _, err = command("--dry-run")
    assert (status, err.startswith(f"{BEGUN}{WARNING}Go on? [y/N] ")) == (0, True)
    assert len(llm.record) > asked
    # Where nobody can answer, and where somebody said yes before, it is said and gone on with.
    status, _, err = command("--dry-run", "--yes")
    assert (status, err) == (0, f"{BEGUN}{WARNING}")


def test_a_dear_search(
    after_a_run: Command, llm: ScriptedLLM, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_kaizen.pipeline.search.DEAR_USD", 0.001)
    terminal("\n")
    status, out, err = after_a_run()
    assert (status, out) == (1, "")
    assert err.startswith(BEGUN)
    first, second, question = err.splitlines()[-3:]
    assert first.startswith("greet: a search takes ")
    assert second.startswith("greet: warning: this search may cost $0.")
    assert question == "Go on? [y/N] "
    asked = len(llm.record)
    assert after_a_run("--dry-run")[0] == 0
    assert len(llm.record) == asked


def test_what_is_dear() -> None:
    def line(usd: tuple[float, float] | None, cap: float | None) -> str | None:
        return dear_line("t", CostEstimate(usd, (1, 2), (1, 2), reasons=True), Budget(usd=cap))

    assert line((0.1, 0.9), None) is None
    assert line((0.1, 1.5), None) == "t: warning: this search may cost $1.50"
    assert line((0.1, 9.0), 5.0) == "t: warning: this search may cost $5.00"
    assert line((0.1, 9.0), 0.5) is None
    assert line(None, 5.0) == (
        "t: warning: what this search costs is not known, and no cap in money covers its rollouts"
    )


def test_results_of_another_program_are_not_used_again(
    after_a_run: Command, pytester: pytest.Pytester, llm: ScriptedLLM
) -> None:
    asked: list[int] = []
    for change in ("", "", "tone = 'cold'\n", "tone = 'warm'\n", "tone = 'cold'\n"):
        (pytester.path / "app.py").write_text(change)
        before = len(llm.record)
        after_a_run("--dry-run")
        asked.append(len(llm.record) - before)
    assert asked[0] > 0
    # The pilot is not paid for again, unless the program changed.
    assert asked[1:] == [0, 4, 4, 0]
