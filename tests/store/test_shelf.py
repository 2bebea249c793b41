"""Traces that no test made, and taking out any."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.models import Case, TraceFile
from pytest_kaizen.store import Store
from tests.store.conftest import Make


def test_a_file_comes_back_as_it_was_put_in(store: Store, make: Make) -> None:
    file = TraceFile(filename="a.md", file_type="md", size=5)
    put = make.trace(run_id=None, case_id=None, task=None, output="hello", file=file, scores=[])
    other = make.trace(run_id=None, case_id=None)
    store.shelf.add([put, other])
    store.shelf.add([put.model_copy(update={"output": "changed"})])
    assert store.trace(put.id) == put
    assert store.traces() == [other, put]
    assert (store.shelf.ids(), store.shelf.ids("sum")) == ([other.id, put.id], [other.id])


def test_each_trace_is_read_in_order(store: Store, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_kaizen.store.archive._TOGETHER", 2)
    loose = [make.trace(run_id=None, case_id=None) for _ in range(5)]
    store.shelf.add(loose)
    store.shelf.add([make.trace(run_id=None, case_id=None, task="other")])
    assert list(store.shelf.each("sum")) == loose[::-1]
    assert [trace.id for trace in store.shelf.each()] == store.shelf.ids()
    reading = store.shelf.each("sum")
    assert next(reading) == loose[4]
    store.shelf.delete(loose[2].id)
    assert list(reading) == [loose[3], loose[1], loose[0]]


def test_deleting_takes_the_spans_and_scores_too(
    store: Store, make: Make, started: Callable[..., Case]
) -> None:
    case = started()
    first, second = make.sample(id="aa1"), make.sample(id="ab2", sample=1)
    for sample in (first, second):
        store.add_sample(case, sample)
    with pytest.raises(StoreError, match=r"trace 'a' is ambiguous: aa1, ab2"):
        store.shelf.delete("a")
    assert store.shelf.delete("aa") == "aa1"
    with pytest.raises(StoreError, match=r"no trace 'aa1'; the newest are ab2"):
        store.shelf.delete("aa1")
    assert [sample.trace for sample in store.cases("last")[0].samples] == [second.trace]
    # The same trace may come in once more: nothing of it was left behind.
    store.shelf.add([first.trace])
    assert store.trace("aa1") == first.trace
