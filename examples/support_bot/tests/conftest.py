from __future__ import annotations

import os
from collections.abc import Iterator

import anthropic
import pytest
from simulator import simulated_model

KEY = "ANTHROPIC_API_KEY"
SIMULATED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Put a simulator in the model's place for the whole run, unless there is a key for the real API."""
    config.stash[SIMULATED] = config.getoption("kaizen", default=False) and not os.environ.get(KEY)
    if config.stash[SIMULATED]:
        llm, environment = simulated_model(), pytest.MonkeyPatch()
        llm.__enter__()
        config.add_cleanup(lambda: llm.__exit__(None, None, None))
        config.add_cleanup(environment.undo)
        environment.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
        for name, value in llm.environ.items():
            environment.setenv(name, value)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say what answers, before anything else is printed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and session.config.stash[SIMULATED]:
        reporter.write_line(
            f"support_bot: answers come from a model SIMULATOR; set {KEY} to use the real API"
        )


@pytest.fixture(scope="session")
def client() -> Iterator[anthropic.Anthropic]:
    """Lead to the real API when there is a key, else to the simulator."""
    with anthropic.Anthropic() as client:
        yield client
