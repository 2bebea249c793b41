from __future__ import annotations

from pytest_kaizen.store import Store


def test_one_version_of_a_task_is_active(store: Store) -> None:
    assert store.activations.active("t") is None
    assert store.activations.status("t", 1) == "draft"
    store.activations.activate("t", 1)
    store.activations.activate("other", 5)
    store.activations.activate("t", 2)
    assert (store.activations.active("t"), store.activations.active("other")) == (2, 5)
    assert [store.activations.status("t", version) for version in (1, 2, 3)] == [
        "archived",
        "active",
        "draft",
    ]
    store.activations.activate("t", 1)
    assert [store.activations.status("t", version) for version in (1, 2)] == ["active", "archived"]
