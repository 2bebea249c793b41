from __future__ import annotations

import pytest

from pytest_kaizen.server.problem import Refusal
from pytest_kaizen.server.state import Window


def test_so_many_in_any_stretch_of_time() -> None:
    now = 100.0
    window = Window(3, 60.0, clock=lambda: now)
    for moment in (100.0, 100.0, 130.0):
        now = moment
        window.take("a")
    now = 130.5
    with pytest.raises(Refusal, match="3 of these requests in 60 seconds are taken") as caught:
        window.take("a")
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "30"})
    window.take("b")
    # What was refused does not count.
    now = 160.0
    window.take("a")
    window.take("a")
    with pytest.raises(Refusal) as caught:
        window.take("a")
    assert caught.value.headers == {"Retry-After": "30"}


def test_what_was_not_done_for_a_while_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_kaizen.server.state._MOST_COUNTED", 2)
    now = 0.0
    window = Window(1, 60.0, clock=lambda: now)
    window.take("old")
    now = 59.0
    window.take("young")
    now = 60.0
    window.take("new")
    assert set(window._done) == {"young", "new"}
