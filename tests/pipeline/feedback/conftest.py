from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.config import Config, load_config
from pytest_kaizen.llm import Completion, LLMRequest
from pytest_kaizen.models import FeedbackEntry, Task
from pytest_kaizen.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PRICE = 0.01


class FakeLLM:
    """Answers with what ``say`` says, at a fixed price; remembers what it was asked."""

    def __init__(self, say: Callable[[LLMRequest], str], cost_usd: float | None = PRICE) -> None:
        self.say = say
        self.cost_usd = cost_usd
        self.asked: list[LLMRequest] = []
        self._lock = threading.Lock()

    def complete(self, request: LLMRequest) -> Completion:
        with self._lock:
            self.asked.append(request)
        text = self.say(request)
        data = json.loads(text) if request.schema is not None else None
        return Completion(text=text, model=request.model, data=data, cost_usd=self.cost_usd)


class Make:
    """Tasks and feedback."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._number = 0

    def config(self, text: str = "") -> Config:
        (self.root / "kaizen.yaml").write_text(text)
        return load_config(self.root, env={})

    def task(self, name: str = "triage", **fields: Any) -> Task:
        return Task(name=name, created_at=NOW, **fields)

    def entry(self, task: Task, inputs: dict[str, Any] | None = None, **fields: Any) -> FeedbackEntry:
        self._number += 1
        created = NOW + timedelta(seconds=self._number)
        return FeedbackEntry(task_id=task.id, inputs=inputs, created_at=created, **fields)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return Make(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "kaizen.db") as opened:
        yield opened
