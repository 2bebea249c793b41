from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pytest_kaizen.server.operation import Access
from pytest_kaizen.server.routes import OPERATIONS

from .conftest import Site


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


@pytest.mark.asyncio
async def test_the_document_names_every_operation(site: Site) -> None:
    async with site.client() as client:
        document = (await client.get("/openapi.json")).json()
    named = {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert sorted(named) == sorted(operation.name for operation in OPERATIONS)
    for operation in OPERATIONS:
        documented = named[operation.name]
        assert documented["summary"].endswith("."), operation.name
        assert {int(status) for status in documented["responses"]} == set(operation.statuses)
        assert ("security" in documented) == (operation.access is not Access.PUBLIC), operation.name
        required = [item["name"] for item in documented["parameters"] if item["in"] == "path"]
        assert required == operation.parameters


@pytest.mark.asyncio
async def test_what_it_refers_to_is_there(site: Site) -> None:
    document = json.loads(site.state.openapi)
    found = set(references(document))
    assert found
    for reference in found:
        at = document
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]
