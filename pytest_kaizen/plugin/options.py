"""Options, ini keys and markers: declared here; options are parsed in ``pytest_kaizen.config``."""

from __future__ import annotations

from typing import Any

import pytest

OFF_REASON = "needs --kaizen"
_WHEN_OFF = ("skip", "run")

#: Settings that are an option and an ini key: name, arguments of the option, help.
_SETTINGS: tuple[tuple[str, dict[str, Any], str], ...] = (
    (
        "prompt_version",
        {"action": "append", "metavar": "TASK=N"},
        "Run version N of a task's prompt instead of the active one (repeatable).",
    ),
    (
        "judge_cache",
        {"metavar": "on|off"},
        "Keep the judge's answers in the store and use them again: on (default) or off.",
    ),
    ("samples", {"metavar": "N"}, "Run the body of each case N times (default: 1); a marker may say more."),
    (
        "max_samples",
        {"metavar": "N"},
        "Where a gate with a confidence is undecided, run it up to N times (default: 40).",
    ),
    (
        "concurrency",
        {"metavar": "N"},
        "Samples of a case under way at once (default: 8 for async tests, 1 for others).",
    ),
    (
        "confidence",
        {"metavar": "X"},
        "Decide every gate on a mean or a rate that states no confidence by a sequential test at X.",
    ),
    (
        "gate_correction",
        {"metavar": "holm|none"},
        "holm: the stated errors hold over all gates of the run; none (default): for each gate.",
    ),
    (
        "optimize",
        {"metavar": "never|propose|activate|pr"},
        "When a gate of a task fails, search for a better prompt, which costs money: never (default), "
        "propose it, activate it if it is proved to be better, or open a pull request (pr).",
    ),
    (
        "record",
        {"metavar": "live|replay|new|all"},
        "Make the LLM calls (live, default), replay them from cassettes (replay), replay what is recorded "
        "and record what is new (new), or record everything anew (all).",
    ),
    (
        "report",
        {"action": "append", "metavar": "PATH"},
        "Write a report of the run: HTML (PATH ends in .html), Markdown (.md) or JSON (.json) (repeatable).",
    ),
    (
        "backend",
        {"action": "append", "metavar": "NAME"},
        "Upload there too: kaizen, kaizen-ct, kayba, kate, kalmia or otlp (repeatable); local: to none.",
    ),
    (
        "upload_timeout",
        {"metavar": "SECONDS"},
        "At the end, wait so long for what is not uploaded yet (default: 10); the next run sends the rest.",
    ),
    ("store", {"metavar": "PATH"}, "The database file (default: .kaizen/kaizen.db)."),
    (
        "baseline",
        {"metavar": "PATH|last|branch:NAME"},
        "What scores must not fall below: a saved file, the last whole run, or the last one of a branch "
        "(default: kaizen-baseline.json, if there is one).",
    ),
)
#: Flags that are an option alone: what they ask for is for this one run.
_FLAGS = (
    ("save_baseline", "Save this run's scores as the baseline, if every case of its tasks ran."),
    ("wait", "Wait at the end for the optimisations that this run has started at a platform."),
)
#: Settings that are an ini key alone.
_INI_ONLY = (("undecided", "What an undecided gate does to its test: fail (default) or pass."),)

FIXTURE = "kaizen"
_SIGNATURES = {
    "kaizen": (
        "kaizen(task, samples=None, max_samples=None, concurrency=None, isolate=False): the test is a case "
        "of this task; its body runs as often as samples says, up to max_samples while a gate with a "
        "confidence is undecided; concurrency: at once; isolate: each time with fixtures of its own"
    ),
    "kaizen_prompt": (
        "kaizen_prompt(task, requirement): the version of the task's prompt that the test uses must be "
        "'==3', '>=2,<4', 'active', 'locked' or 'sha256:...'"
    ),
    "kaizen_record": (
        "kaizen_record(mode): what is done with the test's LLM calls, instead of --kaizen-record: 'live', "
        "'replay', 'new' or 'all'"
    ),
    "kaizen_rubric": (
        "kaizen_rubric(path, min=0.8, each={criterion: min}, confidence=None): score the output by a "
        "rubric; its total and single criteria must reach their bars"
    ),
    "kaizen_threshold": (
        "kaizen_threshold(metric, min=None, max=None, share=None, max_drop=None, confidence=None): a metric "
        "must stay within its bar, or fall no further than max_drop below the baseline: a score's name, "
        "score, pass_rate, cost_usd, latency_ms, input_tokens, output_tokens or calls"
    ),
}


def declare_options(parser: pytest.Parser) -> None:
    """Declare everything with pytest."""
    group = parser.getgroup("kaizen", "prompt regression (pytest-kaizen)")
    group.addoption(
        "--kaizen",
        action="store_true",
        default=False,
        help="Record every LLM call as a scored trace and decide the gates on prompts and scores.",
    )
    for name, arguments, text in _SETTINGS:
        group.addoption(_flag(name), dest=f"kaizen_{name}", default=None, help=text, **arguments)
        parser.addini(f"kaizen_{name}", f"{text} Same as {_flag(name)}.", default=None)
    for name, text in _FLAGS:
        group.addoption(_flag(name), dest=f"kaizen_{name}", action="store_true", default=False, help=text)
    for name, text in _INI_ONLY:
        parser.addini(f"kaizen_{name}", text, default=None)
    parser.addini(
        "kaizen_when_off",
        "Without --kaizen, tests that use the fixture or a marker: skip (default) or run.",
        default="skip",
    )


def is_on(config: pytest.Config) -> bool:
    """Whether the session runs with ``--kaizen``."""
    return bool(config.getoption("kaizen", default=False))


def when_off(config: pytest.Config) -> str:
    """Return what becomes of tests that need ``--kaizen`` when it is absent.

    Raises:
        pytest.UsageError: The ini key has another value than ``skip`` and ``run``.
    """
    value = str(config.getini("kaizen_when_off"))
    if value not in _WHEN_OFF:
        raise pytest.UsageError(
            f"ini key kaizen_when_off: expected one of {', '.join(_WHEN_OFF)} (found {value!r})"
        )
    return value


def from_command_line(config: pytest.Config) -> dict[str, Any]:
    """Return the settings given as options, by name."""
    names = [name for name, _, _ in _SETTINGS] + [name for name, _ in _FLAGS]
    return {name: config.getoption(f"kaizen_{name}") for name in names}


def from_ini(config: pytest.Config) -> dict[str, Any]:
    """Return the settings given in the ini file, by name."""
    names = [name for name, _, _ in _SETTINGS] + [name for name, _ in _INI_ONLY]
    return {name: config.getini(f"kaizen_{name}") for name in names}


def _flag(name: str) -> str:
    return f"--kaizen-{name.replace('_', '-')}"


def declare_markers(config: pytest.Config) -> None:
    """Declare the markers, so that ``--strict-markers`` knows them."""
    for signature in _SIGNATURES.values():
        config.addinivalue_line("markers", signature)


def asks_for_kaizen(item: pytest.Item) -> bool:
    """Whether a test uses the fixture or one of the markers."""
    return FIXTURE in getattr(item, "fixturenames", ()) or any(
        mark.name in _SIGNATURES for mark in item.iter_markers()
    )
