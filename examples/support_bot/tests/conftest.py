from __future__ import annotations

import os
from collections.abc import Iterator

import anthropic
import pytest
from simulator import simulated_model

KEY = "ANTHROPIC_API_KEY"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say what answers, before anything else is printed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and session.config.getoption("kaizen", default=False) and not os.environ.get(KEY):
        reporter.write_line(
            f"support_bot: answers come from a model SIMULATOR; set {KEY} to use the real API"
        )


@pytest.fixture(scope="session")
def client() -> Iterator[anthropic.Anthropic]:
    """Lead to the real API when there is a key, else to the simulator."""
    if os.environ.get(KEY):
        with anthropic.Anthropic() as real:
            yield real
        return
    with simulated_model() as llm, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
        for name, value in llm.environ.items():
            monkeypatch.setenv(name, value)
        with anthropic.Anthropic() as simulated:
            yield simulated
