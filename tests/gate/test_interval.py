from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.gate import mean_interval


def test_known_values_of_wilsons_interval() -> None:
    # Newcombe 1998, Table I: 81 of 263 and 0 of 20.
    assert mean_interval([1.0] * 81 + [0.0] * 182) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert mean_interval([0.0] * 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_without_values_there_is_none() -> None:
    assert mean_interval([]) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_has_a_width_and_holds_the_mean(values: list[float]) -> None:
    interval = mean_interval(values)
    assert interval is not None
    mean = sum(values) / len(values)
    assert 0 <= interval.low <= mean + 1e-9
    assert mean - 1e-9 <= interval.high <= 1
    assert interval.high - interval.low > 0.05


def test_more_confidence_is_wider() -> None:
    narrow, wide = mean_interval([0.5] * 10, 0.8), mean_interval([0.5] * 10, 0.99)
    assert narrow is not None
    assert wide is not None
    assert wide.low < narrow.low < narrow.high < wide.high
