"""One question to a judge: from the cache, else from the model, asked again when it cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ..errors import LLMError
from ..llm import LLM, LLMRequest
from ..models import AnswerKey

#: How often an answer that cannot be read is asked for again.
RETRIES = 2

T = TypeVar("T")


class AnswerCache(Protocol):
    """Where the answers of a judge are kept; may be used from several threads at once."""

    def get(self, key: AnswerKey) -> Any:
        """Return the JSON of an answer; None when there is none."""
        ...

    def put(self, key: AnswerKey, answer: Any) -> None:
        """Keep the JSON of an answer; one that is there already stays."""
        ...


class Asker:
    """Asks a model, or remembers what it said.

    Args:
        llm: The door to the model.
        cache: Where answers are kept; None asks every time.
    """

    def __init__(self, llm: LLM, cache: AnswerCache | None = None) -> None:
        self._llm = llm
        self._cache = cache

    def ask(self, request: LLMRequest, key: AnswerKey, read: Callable[[Any], T]) -> T:
        """Return the answer to a question.

        Args:
            request: The question; it has a schema.
            key: What it is kept by. Only an answer that could be read is kept, never an error.
            read: Makes something of the answer's JSON; raises ValueError when it does not follow
                the schema.

        Raises:
            LLMError: The model failed, or gave no readable answer in all attempts.
        """
        kept = self._cache.get(key) if self._cache is not None else None
        if kept is not None:
            try:
                return read(kept)
            except ValueError:
                # Written by a release that asked otherwise: it is a question anew.
                pass
        problem = ""
        for _ in range(1 + RETRIES):
            completion = self._llm.complete(request)
            try:
                answer = read(completion.data)
            except ValueError as exc:
                problem = str(exc)
                continue
            if self._cache is not None:
                self._cache.put(key, completion.data)
            return answer
        raise LLMError(f"{request.model} gave no readable answer in {1 + RETRIES} attempts: {problem}")
