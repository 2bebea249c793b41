from __future__ import annotations

from pathlib import Path

import pytest

from pytest_kaizen.store import Store
from pytest_kaizen.store.groups import Groups, LateModule


@pytest.mark.parametrize("name", Groups.__annotations__)
def test_a_group_is_made_once_for_a_store(tmp_path: Path, name: str) -> None:
    with Store.open(tmp_path / "one.db") as one, Store.open(tmp_path / "other.db") as other:
        group = getattr(one, name)
        assert type(group).__name__ == Groups.__annotations__[name]
        assert getattr(one, name) is group
        assert getattr(other, name) is not group


def test_a_late_module_has_what_the_module_has() -> None:
    from pytest_kaizen.store import ledger

    late = LateModule("ledger")
    assert late.look is ledger.look
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        _ = late.missing
