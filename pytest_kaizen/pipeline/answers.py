"""The judge's answers in the store."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from ..capture import Redactor, current_recorder
from ..errors import StoreError
from ..llm import BASE_URL_VARIABLE
from ..models import AnswerKey
from ..store import Store


class StoredAnswers:
    """Keeps a judge's answers. A store that fails costs a call, never a score.

    Args:
        store: Where they are kept.
        redactor: Takes secrets out of them; a judge quotes what it read.
    """

    def __init__(self, store: Store, redactor: Redactor) -> None:
        self._store = store
        self._redactor = redactor

    def get(self, key: AnswerKey) -> Any:
        """Return an answer; None when there is none, it cannot be read, or a cassette is to give it."""
        recorder = current_recorder()
        if recorder is not None and recorder.tape is not None:
            # Where calls are recorded, the judge's are too: others have the cassette, not the store.
            return None
        try:
            return self._store.answer(_with_server(key))
        except StoreError:
            return None

    def put(self, key: AnswerKey, answer: Any) -> None:
        """Keep an answer, if the store can."""
        with suppress(StoreError):
            self._store.save_answer(_with_server(key), self._redactor.data(answer))


def _with_server(key: AnswerKey) -> AnswerKey:
    """Tell the models of different servers apart: what a scripted one says is no judgement."""
    server = os.environ.get(BASE_URL_VARIABLE)
    return key._replace(model=f"{key.model} at {server}") if server else key
