"""The OpenAPI document of the table of operations."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from ..platforms.base.wire import Problem
from .operation import JSON, Access, KeyHeader, Operation
from .problem import MEDIA_TYPE

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
