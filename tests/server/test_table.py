from __future__ import annotations

from typing import Any

import pytest

from pytest_kaizen.platforms import Health
from pytest_kaizen.server.operation import Access, Call, Operation
from pytest_kaizen.server.problem import Refusal
from pytest_kaizen.server.table import Table


def plain(call: Call) -> Health:
    """Answer."""
    return Health()


def one(call: Call, thing: str) -> Health:
    """Answer."""
    return Health()


def two(call: Call, thing: str, part: str) -> Health:
    """Answer."""
    return Health()


TABLE = Table(
    [
        Operation("GET", "/things", Access.PUBLIC, plain),
        Operation("POST", "/things", Access.PUBLIC, plain),
        Operation("POST", "/things/search", Access.PUBLIC, plain),
        Operation("GET", "/things/{thing}", Access.PUBLIC, one),
        Operation("GET", "/things/{thing}/parts/{part}", Access.PUBLIC, two),
        Operation("GET", "/things/{thing}/notes", Access.PUBLIC, one),
    ]
)


def scope(method: str, path: str) -> dict[str, Any]:
    return {"method": method, "path": path, "raw_path": path.encode()}


@pytest.mark.parametrize(
    ("method", "path", "name", "parameters"),
    [
        ("GET", "/things", "GET /things", {}),
        ("GET", "/things/", "GET /things", {}),
        ("HEAD", "/things", "GET /things", {}),
        ("POST", "/things/search/", "POST /things/search", {}),
        ("GET", "/things/7", "GET /things/{thing}", {"thing": "7"}),
        ("GET", "/things/search", "GET /things/{thing}", {"thing": "search"}),
        ("GET", "/things/search/notes", "GET /things/{thing}/notes", {"thing": "search"}),
        ("GET", "/things/a%2Fb%20c/notes/", "GET /things/{thing}/notes", {"thing": "a/b c"}),
        ("GET", "/things/%2e%2e/parts/x", "GET /things/{thing}/parts/{part}", {"thing": "..", "part": "x"}),
    ],
)
def test_found(method: str, path: str, name: str, parameters: dict[str, str]) -> None:
    found = TABLE.find(scope(method, path))
    assert found.operation.name == name
    assert found.parameters == parameters


def test_a_server_that_gives_no_raw_path() -> None:
    asked = {"method": "GET", "path": "/things/ä b"}
    assert TABLE.find(asked).parameters == {"thing": "ä b"}


@pytest.mark.parametrize(
    "path", ["/", "/thing", "/things//", "/things/7/parts", "//things", "/things//notes"]
)
def test_nothing_there(path: str) -> None:
    with pytest.raises(Refusal) as caught:
        TABLE.find(scope("GET", path))
    assert caught.value.status == 404


def test_another_method() -> None:
    with pytest.raises(Refusal) as caught:
        TABLE.find(scope("DELETE", "/things/search"))
    # As documented at this path; that an id may be 'search' too is another path's.
    assert (caught.value.status, caught.value.headers) == (405, {"Allow": "POST"})


def test_two_operations_at_one_place() -> None:
    with pytest.raises(ValueError, match=r"GET /things/\{thing\}: is there already"):
        Table([*TABLE.operations, Operation("GET", "/things/{thing}", Access.PUBLIC, one)])


def test_path_and_handler_agree() -> None:
    with pytest.raises(TypeError, match=r"the path has \['other'\], the handler takes \['thing'\]"):
        Operation("GET", "/things/{other}", Access.PUBLIC, one)
