from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest

from pytest_kaizen.capture import Redactor
from pytest_kaizen.capture.cassettes import Matcher

URL = "https://api.example.com/v1/messages"


def key(body: Any, url: str = URL, matcher: Matcher | None = None, library: Any = httpx) -> str:
    request = library.Request("POST", url, json=body, headers={"x-stainless-retry-count": "1"})
    question: str = (matcher or Matcher(Redactor({}))).of_request(request).key
    return question


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": [1, {"c": 2, "d": 3}]}, {"b": [1, {"d": 3, "c": 2}], "a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": "x", "metadata": {"user_id": "u1"}}, {"a": "x", "metadata": {"user_id": "u2"}}, True),
        ({"a": "x", "metadata": {"user_id": "u1"}}, {"a": "x"}, True),
        ({"user": "u1", "prompt_cache_key": "k", "safety_identifier": "s"}, {}, True),
        ({"metadata": {"topic": "a"}}, {"metadata": {"topic": "b"}}, False),
    ],
)
def test_bodies(one: Any, other: Any, same: bool) -> None:
    assert (key(one) == key(other)) is same


def test_half_a_character_is_compared_too() -> None:
    def keyed(text: str) -> str:
        body = f'{{"b": 1, "a": "{text}"}}'.encode()
        request = httpx.Request("POST", URL, content=body)
        return Matcher(Redactor({})).of_request(request).key

    assert keyed("\\ud800") == keyed("\\ud800") != keyed("\\ud801")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("http://api.example.com:8080/v1/messages?version=2", True),
        ("https://me:pass@api.example.com/v1/messages", True),
        ("https://api.example.org/v1/messages", False),
        ("https://api.example.com/v2/messages", False),
    ],
)
def test_urls(other: str, same: bool) -> None:
    assert (key({}) == key({}, other)) is same


def test_both_libraries_ask_the_same() -> None:
    assert key({"a": "ü"}) == key({"a": "ü"}, library=httpx2)


def test_ignored_fields() -> None:
    matcher = Matcher(Redactor({}), ["trace.id", "messages.*.when", "*.noise"])
    one = {"trace": {"id": 1, "x": 1}, "messages": [{"when": 1, "t": "a"}], "deep": {"noise": 1, "y": 2}}
    two = {"trace": {"id": 2, "x": 1}, "messages": [{"when": 2, "t": "a"}], "deep": {"noise": 2, "y": 2}}
    assert key(one, matcher=matcher) == key(two, matcher=matcher)
    assert key(one) != key(two)
    two["messages"] = [{"when": 2, "t": "b"}]
    assert key(one, matcher=matcher) != key(two, matcher=matcher)
    question = matcher.of_request(httpx.Request("POST", URL, json=one))
    assert question.body == {"json": {"trace": {"x": 1}, "messages": [{"t": "a"}], "deep": {"y": 2}}}


def test_ignored_text() -> None:
    matcher = Matcher(Redactor({}), patterns=[r"\d{4}-\d\d-\d\d"])
    one, two = ({"system": f"Today is {day}."} for day in ("2026-11-22", "2027-01-01"))
    assert key(one, matcher=matcher) == key(two, matcher=matcher)
    assert key(one) != key(two)
    assert matcher.of_request(httpx.Request("POST", URL, json=one)).body == {"json": one}


def test_a_record_matches_the_request_it_was_made_of() -> None:
    matcher = Matcher(Redactor({"A_TOKEN": "canary-value-1"}))
    request = httpx.Request("POST", URL, json={"m": "my canary-value-1", "password": "hunter2"})
    question = matcher.of_request(request)
    assert "canary" not in f"{question}"
    assert "hunter2" not in f"{question}"
    again = matcher.of_record(question.method, question.url, question.body)
    assert again.key == question.key


def test_secrets_alone_make_no_difference() -> None:
    one = Matcher(Redactor({"A_TOKEN": "canary-value-1"}))
    two = Matcher(Redactor({"OTHER_KEY": "canary-value-2"}))
    assert key({"m": "canary-value-1"}, matcher=one) == key({"m": "canary-value-2"}, matcher=two)


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_files_are_compared_by_their_hash(prefix: str) -> None:
    matcher = Matcher(Redactor({}))
    one, two = ({"image": prefix + letter * 4000, "note": "word " * 1000} for letter in "AB")
    body = matcher.of_request(httpx.Request("POST", URL, json=one)).body["json"]
    assert body["note"] == one["note"]
    assert body["image"].startswith(f"[{4000 + len(prefix)} characters, sha256 ")
    assert len(body["image"]) < 100
    assert key(one) == key(dict(one))
    assert key(one) != key(two)
