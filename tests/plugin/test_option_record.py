"""``--kaizen-record``: what is called, replayed and kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
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


def test_live_keeps_nothing(suite: Suite) -> None:
    suite.write(TEST)
    for arguments in ([], ["--kaizen-record=live"]):
        suite.run(*arguments, passed=1, code=0)
        assert not suite.span.replayed
    assert len(suite.llm.record) == 2
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
        assert span.cost_usd == live.cost_usd
        assert span.latency_ms == pytest.approx(live.latency_ms, abs=0.06)
        assert span.metadata == live.metadata
    assert len(suite.llm.record) == 1


def test_replay_without_a_record_is_an_error(suite: Suite) -> None:
    suite.write(TEST)
    suite.run("--kaizen-record=replay", failed=1, code=1)
    print("\n".join(suite.failure))
