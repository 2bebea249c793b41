"""The markers: their declaration, and who uses them."""

from __future__ import annotations

import pytest

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


def declare(config: pytest.Config) -> None:
    """Declare the markers, so that ``--strict-markers`` knows them."""
    for signature in _SIGNATURES.values():
        config.addinivalue_line("markers", signature)


def asks(item: pytest.Item) -> bool:
    """Whether a test uses the fixture or one of the markers."""
    return FIXTURE in getattr(item, "fixturenames", ()) or any(
        mark.name in _SIGNATURES for mark in item.iter_markers()
    )
