"""A store, and a source that is asked without patience."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_kaizen.models import Usage
from pytest_kaizen.pipeline.integrations import Connection
from pytest_kaizen.store import Store, sealed
from tests.pipeline.integrations.place import SECRET


@pytest.fixture(autouse=True)
def own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sealed.KEY_VARIABLE, raising=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "kaizen.db") as opened:
        yield opened


def price(model: str, usage: Usage) -> float | None:
    return (usage.input_tokens or 0) / 1000 if model == "gpt-4o-mini" else None


def connection(url: str, *, attempts: int = 1) -> Connection:
    return Connection(url, {"Authorization": f"Bearer {SECRET}"}, SECRET, True, price, attempts)
