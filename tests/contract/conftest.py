"""A server made from a platform's wire models, and the JSON that it must agree with."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from pydantic import BaseModel

GOLDEN = Path(__file__).parents[1] / "golden"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Exchange:
    """A request and its answer as a golden file has them, and the models that speak them."""

    def __init__(self, path: Path, reads: type[BaseModel] | None, answers: type[BaseModel] | None) -> None:
        golden = json.loads(path.read_text(encoding="utf-8"))
        self.request: dict[str, Any] = golden["request"]
        self.status: int = golden["response"]["status"]
        self.answer: Any = golden["response"].get("body")
        self.reads = reads
        self.answers = answers


class Fake:
    """An ASGI app that understands requests, and writes answers, by the wire models alone.

    Attributes:
        seen: What arrived: method, path as it was encoded, query, body.
        headers: The headers of each.
        read: Each body as the server's model understood and wrote it again.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.seen: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.read: list[Any] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content = b""
        more = True
        while more:
            message = await receive()
            content += message.get("body", b"")
            more = message.get("more_body", False)
        self.seen.append(
            {
                "method": scope["method"],
                "path": scope["raw_path"].decode(),
                "query": dict(parse_qsl(scope["query_string"].decode())),
                "body": json.loads(content) if content else None,
            }
        )
        self.headers.append({name.decode().lower(): value.decode() for name, value in scope["headers"]})
        if self.exchange.reads is not None:
            self.read.append(written(self.exchange.reads.model_validate_json(content)))
        answer = b""
        if self.exchange.answers is not None:
            answer = json.dumps(written(self.exchange.answers.model_validate(self.exchange.answer))).encode()
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": self.exchange.status, "headers": head})
        await send({"type": "http.response.body", "body": answer})

    @property
    def transport(self) -> httpx.ASGITransport:
        return httpx.ASGITransport(app=self)

    def assert_contract(self) -> None:
        """One request arrived, it is the golden one, and the server's model loses nothing of it."""
        assert self.seen == [self.exchange.request]
        if self.exchange.reads is not None:
            assert self.read == [self.exchange.request["body"]]


def written(model: Any) -> Any:
    """Return the JSON that a wire model writes."""
    return model.to_json()


class Golden:
    """The golden files of one platform."""

    def __init__(self, platform: str) -> None:
        self.folder = GOLDEN / platform

    @property
    def names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.json") if path.stem != "bodies")

    @property
    def bodies(self) -> dict[str, Any]:
        bodies: dict[str, Any] = json.loads((self.folder / "bodies.json").read_text(encoding="utf-8"))
        return bodies

    def fake(
        self, name: str, reads: type[BaseModel] | None = None, answers: type[BaseModel] | None = None
    ) -> Fake:
        return Fake(Exchange(self.folder / f"{name}.json", reads, answers))

    def assert_bodies(self, wire: ModuleType) -> None:
        """Each body is written exactly as it was read; keys from the future are ignored."""
        for name, body in self.bodies.items():
            model: type[BaseModel] = getattr(wire, name)
            assert written(model.model_validate(body)) == body, name
            if isinstance(body, dict) and model.model_config.get("extra") != "allow":
                assert written(model.model_validate({**body, "later": 1})) == body, name


@pytest.fixture
def golden() -> Callable[[str], Golden]:
    return Golden
