"""The pytest plugin: what is there in every pytest run, on or off.

Everything here and in the modules it imports at the top is loaded by every pytest run on a machine
where the package is installed, so it imports pytest and nothing heavy. With ``--kaizen``,
``pytest_configure`` loads the rest and registers one session object.

pytest rewrites what a plugin imports, which would be most of what it costs to have it installed: the
siblings are imported plainly, and this module is left as it is by PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from .plain_imports import plain_imports

with plain_imports():
    from . import hookspecs, markers, options

if TYPE_CHECKING:
    from ..scripted import ScriptedLLM
    from .fixture import Kaizen


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make the hooks known that users' conftest files may implement."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and ini keys."""
    options.declare(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers; with ``--kaizen``, load and register the session."""
    markers.declare(config)
    if options.is_on(config):
        from .start import start

        start(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ``--kaizen``, skip what needs it."""
    if not options.is_on(config) and options.when_off(config) == "skip":
        for item in items:
            if markers.asks(item):
                item.add_marker(pytest.mark.skip(reason=options.OFF_REASON))


@pytest.fixture
def kaizen(request: pytest.FixtureRequest) -> Kaizen:
    """Fetch prompts, give checks and scores, look at the traces of this test.

    See ``pytest_kaizen.plugin.fixture.Kaizen``.
    """
    if options.is_on(request.config):
        from .session import KAIZEN

        return request.config.stash[KAIZEN].fixture(request.node)
    if options.when_off(request.config) == "skip":
        pytest.skip(options.OFF_REASON)
    from .off import fixture_when_off

    return fixture_when_off(request)


@pytest.fixture
def kaizen_llm() -> Iterator[ScriptedLLM]:
    """Serve scripted answers from a local Anthropic- and OpenAI-compatible server.

    Base URLs and dummy keys of both SDKs are in the environment for the length of the test.
    See ``pytest_kaizen.ScriptedLLM``.
    """
    from ..scripted import ScriptedLLM

    # Not the fixture `monkeypatch`: its users' samples cannot run in threads.
    with ScriptedLLM() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environ.items():
            patch.setenv(name, value)
        yield server
