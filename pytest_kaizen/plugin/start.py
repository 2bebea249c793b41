"""``--kaizen`` was given: look at the configuration, and open the session with the first test."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from . import PlainImports

if TYPE_CHECKING:
    from ..config import Config


def kaizen_root(config: pytest.Config) -> Path:
    """Return the folder that relative paths start from.

    That is the nearest folder with a ``kaizen.yaml``, from the common folder of the command line's
    arguments up to pytest's rootdir, so that one repository may hold several suites; else rootdir.
    """
    # Not above: what is loaded before the finder of `start` is there, pytest rewrites.
    from ..config import KAIZEN_YAML

    places = [config.invocation_params.dir / arg.partition("::")[0] for arg in config.args]
    try:
        start = Path(os.path.commonpath([place.resolve() for place in places]))
    except ValueError:
        return config.rootpath
    folder = start if start.is_dir() else start.parent
    for candidate in (folder, *folder.parents):
        if (candidate / KAIZEN_YAML).exists():
            return candidate
        if candidate == config.rootpath:
            break
    return config.rootpath


class FirstTest:
    """Opens the session when the first test is collected: most of the package is of no use before.

    Args:
        config: pytest's configuration.
        settings: Ours.
    """

    def __init__(self, config: pytest.Config, settings: Config) -> None:
        self._config = config
        self._settings = settings

    def pytest_itemcollected(self) -> None:
        """Put the session in the place of this object."""
        self._config.pluginmanager.unregister(self)
        self.open()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None, Any, Any]:
        """Say that an empty suite decided nothing: silence would look like a pass."""
        outcome = yield
        reporter = self._config.pluginmanager.getplugin("terminalreporter")
        if reporter is not None and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            reporter.ensure_newline()
            reporter.write_line("kaizen: no gate was decided: there was no test")
        return outcome

    def open(self) -> None:
        """Load the rest of the package and register the session."""
        with _uncollected():
            from .session import open_session

            open_session(self._config, self._settings)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Hold off Python's garbage collector for the length of the block.

    Modules make thousands of objects that stay. The collector would look at all of them and, as the tests'
    own modules are loaded by now, at all of theirs, which takes as long as to load this package.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def start(config: pytest.Config) -> None:
    """Resolve the configuration, and wait for the first test.

    Raises:
        pytest.UsageError: The configuration is wrong.
    """
    finder = PlainImports()
    sys.meta_path.insert(0, finder)
    config.add_cleanup(lambda: sys.meta_path.remove(finder))

    from ..config import load_config
    from ..errors import UsageError
    from . import options

    try:
        settings = load_config(
            kaizen_root(config), cli=options.from_command_line(config), ini=options.from_ini(config)
        )
    except UsageError as exc:
        raise pytest.UsageError(str(exc)) from None
    waiting = FirstTest(config, settings)
    if config.getoption("dist", default="no") != "no":
        # pytest-xdist's controller collects no test, and tells its workers which run they are for.
        waiting.open()
    else:
        config.pluginmanager.register(waiting)
