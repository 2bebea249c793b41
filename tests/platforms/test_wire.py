"""How bodies are written, and numbers read."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field, ValidationError

from pytest_kaizen.platforms import RequestModel, Whole, WireList, WireModel


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


class Counted(RequestModel):
    count: Annotated[int, Field(ge=1), Whole]


@pytest.mark.parametrize(("text", "count"), [("3", 3), ("3.0", 3), ("3e2", 300)])
def test_a_whole_number_however_it_is_written(text: str, count: int) -> None:
    assert Counted.model_validate_json(f'{{"count": {text}}}', strict=True).count == count


@pytest.mark.parametrize("text", ["3.5", '"3"', "true", "0", "0.0", "null"])
def test_what_is_no_whole_number(text: str) -> None:
    with pytest.raises(ValidationError):
        Counted.model_validate_json(f'{{"count": {text}}}', strict=True)


def test_its_schema_says_how_large_it_may_be() -> None:
    assert Counted.model_json_schema()["properties"]["count"] == {
        "minimum": 1,
        "title": "Count",
        "type": "integer",
    }
