"""The private parts of pytest's items and sessions that this plugin touches, all of them here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest

_ENDS_SESSION = (KeyboardInterrupt, pytest.exit.Exception)


def set_up_again(item: pytest.Item) -> None:
    """Tear down an item's own fixtures, in the midst of its call, and set them up anew."""
    # A report of the body that ended: tmp_path's teardown looks into the item for one.
    _report(item, pytest.CallInfo.from_call(lambda: None, when="call"))
    setup_state = _private(item.session)._setupstate
    setup_state.teardown_exact(item.parent)
    _forget_fixtures(item)
    setup_state.setup(item)


def run_again(item: pytest.Item) -> None:
    """Run an item's phases once more after the run of all tests, without a report of them.

    Its wider fixtures stay alive for the next item; what breaks when fixtures are torn down has been
    reported with the test's own run.
    """
    _phase("teardown", lambda: _private(item.session)._setupstate.teardown_exact(item.parent))
    _forget_fixtures(item)
    setup = _phase("setup", lambda: item.ihook.pytest_runtest_setup(item=item))
    # pytest's own fixtures and other plugins expect the reports to be made.
    _report(item, setup)
    if setup.excinfo is None:
        _report(item, _phase("call", lambda: item.ihook.pytest_runtest_call(item=item)))
    # Not the item itself, nor one that may not come next: with the parent, what is its own goes.
    _phase("teardown", lambda: item.ihook.pytest_runtest_teardown(item=item, nextitem=item.parent))


def tear_down_all(session: pytest.Session) -> None:
    """Tear down what the last item left alive."""
    _phase("teardown", lambda: _private(session)._setupstate.teardown_exact(None))


def _forget_fixtures(item: pytest.Item) -> None:
    private = _private(item)
    private.funcargs = None
    # What was printed is shown with the report of one sample, and would pile up over hundreds.
    private._report_sections = []
    # The instance of the test's class, and the method bound to it, belong to one sample.
    for name in ("_instance", "_obj"):
        item.__dict__.pop(name, None)
    private._initrequest()


def _phase(when: Literal["setup", "call", "teardown"], hook: Callable[[], None]) -> pytest.CallInfo[None]:
    return pytest.CallInfo.from_call(hook, when=when, reraise=_ENDS_SESSION)


def _report(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    item.ihook.pytest_runtest_makereport(item=item, call=call)


def _private(thing: pytest.Item | pytest.Session) -> Any:
    return thing
