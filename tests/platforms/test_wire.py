"""How bodies are written."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_kaizen.platforms.base.wire import RequestModel, WireList, WireModel


class Answer(WireModel):
    number: float | None = None
    anything: Any = None


class Request(RequestModel):
    number: float | None = None
    anything: Any = None


class Part(WireModel):
    leave_out = "unset"

    number: float | None = None
    anything: Any = None


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (Answer(number=1.5), '{"number":1.5,"anything":null}'),
        (Request(number=1.5), '{"number":1.5}'),
        (Request(anything={"kept": None}), '{"anything":{"kept":null}}'),
        (Part(number=None), '{"number":null}'),
        (WireList[Answer]([Answer()]), '[{"number":null,"anything":null}]'),
        (Answer(number=float("inf"), anything=[float("nan")]), '{"number":null,"anything":[null]}'),
        (Request(anything="Größe"), '{"anything":"Größe"}'),
        (Request(anything="cut \ud83d"), '{"anything": "cut ?"}'),
    ],
)
def test_what_is_written(model: WireModel, body: str) -> None:
    assert model.to_bytes().decode() == body


def test_what_json_cannot_hold() -> None:
    with pytest.raises(ValueError, match="Unable to serialize unknown type"):
        Request(anything=object()).to_bytes()
