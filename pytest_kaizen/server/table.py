"""The operations of a server: found by a request's method and path, and described as OpenAPI."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.types import Scope

from ..platforms import Problem
from .operation import JSON, Access, KeyHeader, Operation
from .problem import MEDIA_TYPE, Refusal

_REF = "#/components/schemas/{model}"
_SECURITY: dict[KeyHeader, list[dict[str, list[str]]]] = {
    KeyHeader.USUAL: [{"bearer": []}, {"x-api-key": []}],
    KeyHeader.OWN: [{"x-kaizen-key": []}],
}
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "x-kaizen-key": {"type": "apiKey", "in": "header", "name": "X-Kaizen-Key"},
}
_Schemas = Mapping[Any, dict[str, Any]]


class Found(NamedTuple):
    """An operation, and what stands in a request's path for its parameters."""

    operation: Operation
    parameters: dict[str, str]


class _Node:
    """What may follow on the beginning of a path."""

    def __init__(self) -> None:
        self.named: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.operations: dict[str, Operation] = {}

    def below(self, part: str) -> _Node:
        if not part.startswith("{"):
            return self.named.setdefault(part, _Node())
        if self.any is None:
            self.any = _Node()
        return self.any

    def ends(self, parts: Sequence[str]) -> Iterator[_Node]:
        """Yield the nodes that a path may lead to, those with fewer parameters first."""
        if not parts:
            yield self
            return
        # No id is empty.
        for node in (self.named.get(parts[0]), self.any if parts[0] else None):
            if node is not None:
                yield from node.ends(parts[1:])


class Table:
    """The operations of a server.

    Args:
        operations: In the order in which they are documented.

    Raises:
        ValueError: Two have the same method and path.
    """

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations = tuple(operations)
        self._root = _Node()
        for operation in self.operations:
            node = self._root
            for part in _parts(operation.path):
                node = node.below(part)
            if operation.method in node.operations:
                raise ValueError(f"{operation.name}: is there already")
            node.operations[operation.method] = operation

    def find(self, scope: Scope) -> Found:
        """Return the operation of a request.

        A slash at the path's end changes nothing. A parameter is decoded after the path is split,
        so that an id may hold an encoded slash.

        Raises:
            Refusal: There is none, at that path (404) or for that method (405).
        """
        raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        parts = [unquote(part) for part in _parts(raw.decode("latin-1"))]
        # HEAD is GET without a body, which the HTTP server leaves out.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        allowed: list[str] = []
        for node in self._root.ends(parts):
            operation = node.operations.get(method)
            if operation is not None:
                pairs = zip(_parts(operation.path), parts, strict=True)
                given = [part for name, part in pairs if name.startswith("{")]
                return Found(operation, dict(zip(operation.parameters, given, strict=True)))
            allowed = allowed or list(node.operations)
        if allowed:
            methods = ", ".join(sorted(allowed))
            raise Refusal(405, f"this path takes {methods}", headers={"Allow": methods})
        raise Refusal(404, "there is nothing at this path")


def _parts(path: str) -> list[str]:
    return path.removeprefix("/").removesuffix("/").split("/")


def openapi(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of operations."""
    rows = tuple(operations)
    models: set[tuple[type[BaseModel], JsonSchemaMode]] = {(Problem, "serialization")}
    for row in rows:
        models |= {(answer, "serialization") for answer in row.answers}
        models |= {(model, "validation") for model in (row.body, row.query) if model not in (None, bytes)}
    listed = sorted(models, key=lambda pair: (pair[0].__module__, pair[0].__qualname__, pair[1]))
    schemas, definitions = models_json_schema(listed, ref_template=_REF)
    paths: dict[str, Any] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "kaizen serve", "version": importlib.metadata.version("pytest-kaizen")},
        "paths": paths,
        "components": {"schemas": definitions.get("$defs", {}), "securitySchemes": _SCHEMES},
    }


def _operation(row: Operation, schemas: _Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": f"{row.method.lower()}_{row.path.strip('/').replace('/', '_')}",
        "summary": row.summary,
        "parameters": [*_path_parameters(row), *_query_parameters(row)],
        "responses": {str(status): _answer(row, status, schemas) for status in row.statuses},
    }
    if row.access is not Access.PUBLIC:
        made["security"] = [*_SECURITY[row.key], *([{}] if row.access is Access.LOCAL else [])]
    if row.body is not None:
        content = (
            {kind: {} for kind in row.reads}
            if row.body is bytes
            else {JSON: {"schema": schemas[row.body, "validation"]}}
        )
        made["requestBody"] = {"required": row.needs_body, "content": content}
    return made


def _path_parameters(row: Operation) -> list[dict[str, Any]]:
    text = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": text} for name in row.parameters]


def _query_parameters(row: Operation) -> list[dict[str, Any]]:
    if row.query is None:
        return []
    whole = row.query.model_json_schema(ref_template=_REF)
    required = whole.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in whole["properties"].items()
    ]


def _answer(row: Operation, status: int, schemas: _Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if status != row.status:
        made["content"] = {MEDIA_TYPE: {"schema": schemas[Problem, "serialization"]}}
    elif row.answers:
        shapes = [schemas[answer, "serialization"] for answer in row.answers]
        made["content"] = {JSON: {"schema": shapes[0] if len(shapes) == 1 else {"anyOf": shapes}}}
    elif status != HTTPStatus.NO_CONTENT:
        made["content"] = {kind: {} for kind in row.writes}
    return made
