"""The pytest plugin: what is there in every pytest run, on or off.

Everything here and in the modules it imports at the top is loaded by every pytest run on a machine
where the package is installed, so it imports pytest and nothing heavy. With ``--kaizen``,
``pytest_configure`` loads the rest and registers one session object.

pytest rewrites what a plugin imports, which would be most of what it costs to have it installed: the
siblings are imported plainly, and this module is left as it is by PYTEST_DONT_REWRITE.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..scripted import ScriptedLLM
    from .fixture import Kaizen


_INSIDE = __name__.partition(".")[0] + "."


class PlainImports:
    """Finds this package's modules before pytest's assertion rewriter does.

    pytest rewrites the assertions of a plugin's whole distribution, which takes seconds where
    bytecode is not kept; this package's modules have no assertions that need it.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of this package; leave every other one to the finders behind."""
        if not fullname.startswith(_INSIDE):
            return None
        return PathFinder.find_spec(fullname, path, target)


@contextmanager
def plain_imports() -> Iterator[None]:
    """Import plainly for the length of the block."""
    finder = PlainImports()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


with plain_imports():
    from . import hookspecs, options


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make the hooks known that users' conftest files may implement."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and ini keys."""
    options.declare_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers; with ``--kaizen``, load and register the session."""
    options.declare_markers(config)
    if options.is_on(config):
        with plain_imports():
            from .start import start

        start(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without ``--kaizen``, skip what needs it."""
    if not options.is_on(config) and options.when_off(config) == "skip":
        for item in items:
            if options.asks_for_kaizen(item):
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
    from .fixture import fixture_when_off

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
