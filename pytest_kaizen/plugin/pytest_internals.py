"""The private parts of pytest's items and sessions that this plugin touches, all of them here."""

from __future__ import annotations

from typing import Any

import pytest


def set_up_again(item: pytest.Item) -> None:
    """Tear down an item's own fixtures and set them up anew; wider ones stay alive."""
    # A report of the body that ended: tmp_path's teardown looks into the item for one.
    call: pytest.CallInfo[None] = pytest.CallInfo.from_call(lambda: None, when="call")
    item.ihook.pytest_runtest_makereport(item=item, call=call)
    private: Any = item
    setup_state = private.session._setupstate
    setup_state.teardown_exact(item.parent)
    private.funcargs = None
    # The instance of the test's class, and the method bound to it, belong to one sample.
    for name in ("_instance", "_obj"):
        item.__dict__.pop(name, None)
    private._initrequest()
    setup_state.setup(item)
