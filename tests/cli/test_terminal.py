from __future__ import annotations

import io
import re
import sys

import pytest

from pytest_kaizen.cli.terminal import Shown, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    # Not a fixture: pytest takes the streams back between a fixture and its test.
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return shown


@pytest.mark.parametrize("extra", [True, False])
def test_a_log_gets_nothing(
    extra: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not extra:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    with progress("first") as say:
        say("second")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_sees_the_last_line(
    no_color: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", no_color)
    with progress("first") as say:
        say("[2] of 3 \x1b]0;owned\x07")
    shown = terminal.getvalue()
    assert r"[2] of 3 \x1b]0;owned\x07" in shown
    assert "\x1b]0;" not in shown
    assert bool(re.search(r"\x1b\[(?:\d+;)*3[0-9]", shown)) is not bool(no_color)
    assert capsys.readouterr().out == ""


def test_without_the_extra_lines_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with progress("first") as say:
        say("second \x1b[2J")
        say("third")
    assert terminal.getvalue() == "second \\x1b[2J\nthird\n"


def test_what_is_raised_goes_on_and_the_cursor_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with pytest.raises(KeyboardInterrupt), progress("first"):
        raise KeyboardInterrupt
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")


def test_what_is_shown_is_put_away_for_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    with Shown() as shown:
        shown("first")
        shown.put_away()
        print("Go on?", file=sys.stderr)
        shown("second")
    text = terminal.getvalue()
    before, _, after = text.partition("Go on?\n")
    # The cursor is there again, and the line is gone, before others write.
    assert before.rindex("\x1b[?25h") > before.rindex("\x1b[?25l")
    assert before.rindex("\x1b[2K") > before.rindex("first")
    assert ("second" in before, "second" in after) == (False, True)
    assert after.rindex("\x1b[?25h") > after.rindex("\x1b[?25l")
