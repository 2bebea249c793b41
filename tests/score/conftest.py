from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.llm import Completion, LLMRequest
from pytest_kaizen.score import Rubric, load_rubric


class FakeLLM:
    """A model that answers from a list; an exception in it is raised."""

    def __init__(self, answers: Iterable[Any]) -> None:
        self.answers = list(answers)
        self.requests: list[LLMRequest] = []

    def complete(self, request: LLMRequest) -> Completion:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return Completion(text=str(answer), model=request.model, data=answer)


@pytest.fixture
def fake_llm() -> Callable[..., FakeLLM]:
    """Make a model that gives these answers, one a call."""
    return lambda *answers: FakeLLM(answers)


@pytest.fixture
def rubric(tmp_path: Path) -> Callable[[str], Rubric]:
    """Load a rubric from its text."""

    def load(text: str) -> Rubric:
        path = tmp_path / "rubric.yaml"
        path.write_text(text, encoding="utf-8")
        return load_rubric(path)

    return load
