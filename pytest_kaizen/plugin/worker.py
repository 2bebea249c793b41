"""A pytest process that runs chosen cases under candidate prompts, for a search.

``pipeline.suite`` starts it with ``-p pytest_kaizen.plugin.worker``. It collects the suite once, says
what it can run, and then runs what it is asked for until the pipe of requests ends. Fixtures of a
test are made anew for every rollout; wider ones stay alive.

Rollouts and their traces go back to the search and nowhere else: what hundreds of rejected prompts
did is no part of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .serving import Worker

WORKER: pytest.StashKey[Worker] = pytest.StashKey()

#: What the command line, the ini file or the environment may ask for and a worker must not do: spread
#: over processes, overwrite the report of the run that started it, leave out what passed in it, wait for
#: somebody at a debugger, search again or upload.
_NEVER: dict[str, Any] = {
    "dist": "no",
    "tx": [],
    "numprocesses": None,
    "xmlpath": None,
    "lf": False,
    "failedfirst": False,
    "stepwise": False,
    "stepwise_skip": False,
    "usepdb": False,
    "trace": False,
    "kaizen_optimize": "never",
    "kaizen_backend": ["local"],
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option that only a worker has."""
    parser.getgroup("kaizen").addoption("--kaizen-worker", metavar="IN,OUT", help="The pipes of a worker.")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Take back what a worker must not do, before anything is configured by it."""
    for name, value in _NEVER.items():
        if hasattr(config.option, name):
            setattr(config.option, name, value)


def pytest_configure(config: pytest.Config) -> None:
    """Make this process a worker; the plugin itself is configured by now."""
    from .serving import Worker

    requests, replies = map(int, config.getoption("kaizen_worker").split(","))
    worker = Worker(requests, replies)
    config.stash[WORKER] = worker
    config.pluginmanager.register(worker, "kaizen-worker")
    config.add_cleanup(worker.close)
