"""From a request's method and path to its operation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote

from starlette.types import Scope

from .operation import Operation
from .problem import Refusal


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
