"""Answers of judges: each key its own, the first answer stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.models import AnswerKey
from pytest_kaizen.store import Store

KEY = AnswerKey(model="m", rubric="r", content="c", order="a\nb", vote=0, sample=0)
ANSWER = {"faithful": {"reason": "says \u00fc", "score": "yes"}}


def test_an_answer_is_found_by_a_later_process(where: Path | str) -> None:
    with Store.open(where) as store:
        assert store.answer(KEY) is None
        store.save_answer(KEY, ANSWER)
    with Store.open(where, readonly=True) as store:
        assert store.answer(KEY) == ANSWER


@pytest.mark.parametrize(
    "other",
    [{"model": "n"}, {"rubric": "s"}, {"content": "d"}, {"order": "b\na"}, {"vote": 1}, {"sample": 1}],
    ids=lambda fields: next(iter(fields)),
)
def test_every_part_of_the_key_counts(store: Store, other: dict[str, Any]) -> None:
    store.save_answer(KEY, ANSWER)
    assert store.answer(KEY._replace(**other)) is None


def test_the_first_answer_stays(store: Store) -> None:
    store.save_answer(KEY, ANSWER)
    store.save_answer(KEY, {"later": 1})
    assert store.answer(KEY) == ANSWER


def test_a_model_name_that_utf8_does_not_have_is_stored(store: Store) -> None:
    odd = KEY._replace(model="\ud800")
    store.save_answer(odd, {"reason": "\ud800"})
    assert store.answer(odd) == {"reason": "\ud800"}
