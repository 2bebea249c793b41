"""The garbage collector, which rests while the session is loaded, is left as it was found."""

from __future__ import annotations

import gc
from contextlib import suppress

import pytest

from pytest_kaizen.plugin.start import _uncollected


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("was_on", [False, True])
def test_the_collector_is_left_as_it_was(was_on: bool, fails: bool) -> None:
    before = gc.isenabled()
    (gc.enable if was_on else gc.disable)()
    try:
        with suppress(ImportError), _uncollected():
            assert not gc.isenabled()
            if fails:
                raise ImportError
        assert gc.isenabled() is was_on
    finally:
        (gc.enable if before else gc.disable)()
