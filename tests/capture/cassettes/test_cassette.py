"""What each mode calls, replays, keeps and drops."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pytest_kaizen.capture import Redactor
from pytest_kaizen.capture.cassettes import Matcher
from pytest_kaizen.errors import CassetteError, ReplayError

if TYPE_CHECKING:
    from tests.capture.cassettes.conftest import Deck
    from tests.capture.conftest import Wire

Ask = Callable[..., Callable[[], list[str]]]


@pytest.fixture
def ask(wire: Wire) -> Ask:
    """Make a body that asks for an echo of each text."""
    wire.echo = True

    def make(*texts: str, **more: Any) -> Callable[[], list[str]]:
        def body() -> list[str]:
            answers = []
            for text in texts:
                request = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
                response = httpx.post(f"{wire.url}/v1/messages", json=request, verify=False)
                answers.append(response.json()["content"][0]["text"])
            return answers

        return body

    return make


def test_new_calls_only_for_what_changed(deck: Deck, wire: Wire, ask: Ask) -> None:
    deck.run("new", ask("a", "b"))
    assert deck.run("new", ask("a", "b", "c")) == [["echo a", "echo b", "echo c"]]
    assert [span.replayed for span in deck.spans] == [True, True, False]
    assert deck.asked == ["a", "b", "c"]
    assert len(wire.requests) == 3


def test_new_writes_nothing_when_nothing_is_new(deck: Deck, ask: Ask) -> None:
    deck.run("new", ask("a"))
    deck.path.write_text(deck.text + "\n", encoding="utf-8")
    before = deck.text
    deck.run("new", ask("a"))
    assert deck.text == before


def test_all_records_anew_in_place_and_drops_the_rest(deck: Deck, wire: Wire, ask: Ask) -> None:
    deck.run("new", ask("a", "b", "c"))
    deck.run("all", ask("d", "c", "a"))
    assert [span.replayed for span in deck.spans] == [False] * 3
    assert deck.asked == ["a", "c", "d"]
    assert len(wire.requests) == 6
    deck.run("all", ask())
    assert not deck.path.exists()


def test_all_drops_nothing_of_a_test_that_did_not_end(deck: Deck, wire: Wire, ask: Ask) -> None:
    deck.run("new", ask("a", "b"))
    first = deck.exchanges
    wire.echo = False
    wire.answers = [wire.answer(200, (json.dumps(wire.message(text)).encode(),)) for text in ("anew", "d")]
    deck.run("all", ask("b", "d"), complete=False)
    assert deck.asked == ["a", "b", "d"]
    assert deck.exchanges[0] == first[0]
    assert "anew" in json.dumps(deck.exchanges[1])


def test_failed_answers_are_kept_only_of_a_test_that_ended(deck: Deck, wire: Wire, ask: Ask) -> None:
    def fails_then_answers() -> None:
        wire.echo = False
        wire.json({"error": {"type": "authentication_error", "message": "no"}}, status=401)
        httpx.post(
            f"{wire.url}/v1/messages", json={"messages": [{"role": "user", "content": "x"}]}, verify=False
        )
        wire.echo = True
        ask("y")()

    deck.run("new", fails_then_answers, complete=False)
    assert deck.asked == ["y"]
    deck.run("new", fails_then_answers)
    assert [exchange["response"]["status"] for exchange in deck.exchanges] == [200, 401]


def test_equal_requests_match_in_order(deck: Deck, wire: Wire) -> None:
    answers = iter(["first", "second"])

    def body() -> list[str]:
        texts = []
        for _ in range(2):
            response = httpx.post(f"{wire.url}/v1/messages", json={"messages": []}, verify=False)
            texts.append(response.json()["content"][0]["text"])
        return texts

    for text in answers:
        wire.json(wire.message(text))
    assert deck.run("new", body) == deck.run("replay", body) == [["first", "second"]]


def test_samples_are_kept_apart(deck: Deck, wire: Wire) -> None:
    def body() -> str:
        response = httpx.post(f"{wire.url}/v1/messages", json={"messages": []}, verify=False)
        text: str = response.json()["content"][0]["text"]
        return text

    for text in ("zero", "one"):
        wire.json(wire.message(text))
    assert deck.run("new", body, body) == ["zero", "one"]
    assert deck.run("replay", body, body) == ["zero", "one"]
    assert [exchange["sample"] for exchange in deck.exchanges] == [0, 1]
    wire.json(wire.message("two"))
    assert deck.run("new", body, body, body) == ["zero", "one", "two"]

    def missing() -> str:
        with pytest.raises(ReplayError) as caught:
            body()
        return str(caught.value)

    *_, text = deck.run("replay", body, body, body, missing)
    assert "it is recorded for sample 0, and this is sample 3" in text


def test_once_more_than_recorded(deck: Deck, ask: Ask) -> None:
    deck.run("new", ask("a"))

    def body() -> str:
        ask("a")()
        with pytest.raises(ReplayError) as caught:
            ask("a")()
        return str(caught.value)

    assert "it is recorded 1 time, and this is one more" in deck.run("replay", body)[0]


def test_the_error_shows_the_nearest_request_and_a_diff(deck: Deck, ask: Ask) -> None:
    deck.run("new", ask("Something else", system="You count."), ask("Hi", system="You are kind.\nBe brief."))

    def body() -> str:
        with pytest.raises(ReplayError) as caught:
            ask("Hi", system="You are kind.\nBe very brief.")()
        return str(caught.value)

    (text,) = deck.run("replay", body)
    assert text.splitlines() == [
        "no record of this request in test_it.json: POST http://127.0.0.1/v1/messages",
        "the nearest of 2 recorded:",
        "--- recorded",
        "+++ now",
        '     "system": {"|": [',
        '       "You are kind.",',
        '-      "Be brief."',
        '+      "Be very brief."',
        "     ]}",
        "   }",
        "to record what is missing, run once with --kaizen-record=new",
    ]


def test_prompt_versions_are_kept_with_the_call(deck: Deck, ask: Ask) -> None:
    prompts = {"greet": (2, "ab" * 32)}
    deck.run("new", ask("a"), prompts=prompts)
    assert deck.exchanges[0]["prompts"] == {"greet": {"version": 2, "sha256": "ab" * 32}}
    prompts["greet"] = (3, "cd" * 32)
    deck.run("new", ask("a", "b"), prompts=prompts)
    assert [exchange["prompts"]["greet"]["version"] for exchange in deck.exchanges] == [2, 3]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{\n<<<<<<< HEAD\n", "test_it.json:2: not valid JSON: Expecting property name"),
        (
            '{"kaizen_cassette": 2}',
            "its format is 2, and this release of pytest-kaizen reads up to 1; install",
        ),
        ("[]", "expected 'kaizen_cassette': 1 (found None); take it back from version control, or delete"),
        ('{"kaizen_cassette": 1, "test": "test_it"}', "'exchanges' must be a list"),
        ('{"kaizen_cassette": 1, "test": "test_it", "exchanges": [{}]}', "exchanges.0: 'request' is missing"),
        (
            '{"kaizen_cassette": 1, "test": "other", "exchanges": []}',
            "holds the records of other, not of test_it; rename one",
        ),
    ],
)
def test_a_file_that_cannot_be_used(deck: Deck, wire: Wire, ask: Ask, text: str, problem: str) -> None:
    deck.path.parent.mkdir(parents=True)
    deck.path.write_text(text, encoding="utf-8")

    def body() -> str:
        with pytest.raises(ReplayError) as caught:
            ask("a")()
        return str(caught.value)

    for mode in ("replay", "new"):
        (message,) = deck.run(mode, body)
        assert problem in message
        assert "--kaizen-record=new" in message
    with pytest.raises(CassetteError, match=r"test_it\.json:"):
        deck.run("all", ask("a"))
    assert deck.text == text
    assert len(wire.requests) == 1


def test_a_folder_that_cannot_be_written(deck: Deck, ask: Ask) -> None:
    deck.path.parent.parent.write_text("a file, where the folder is to be", encoding="utf-8")
    with pytest.raises(
        CassetteError, match=r"test_it\.json: cannot be written: .*; make the folder writable"
    ):
        deck.run("new", ask("a"))


def test_a_mistake_of_ours_calls_nobody(
    deck: Deck, wire: Wire, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Matcher, "of_request", lambda *_: 1 / 0)

    def body() -> None:
        with pytest.raises(ReplayError, match="cannot be replayed: ZeroDivisionError"):
            ask("a")()

    deck.run("replay", body)
    assert wire.requests == []


def test_secrets_of_the_request_are_not_kept(deck: Deck, wire: Wire) -> None:
    answer = json.dumps(wire.message("you sent local-key-77x")).encode()
    wire.raw(
        wire.answer(200, (answer,), {"content-type": "application/json", "x-request-id": "local-key-77x"})
    )

    def body() -> Any:
        request = {"messages": [{"role": "user", "content": "my key is local-key-77x"}]}
        headers = {"authorization": "Bearer local-key-77x"}
        url = f"{wire.url}/v1/messages?api_key=qu3ry-key"
        return httpx.post(url, json=request, headers=headers, verify=False).json()["content"][0]["text"]

    assert deck.run("new", body) == ["you sent local-key-77x"]
    assert deck.run("replay", body) == ["you sent [redacted: request credential]"]
    assert "local-key-77x" not in deck.text
    assert "qu3ry-key" not in deck.text


def test_a_secret_that_is_known_later_is_not_kept_either(deck: Deck, wire: Wire) -> None:
    wire.echo = True

    def body() -> None:
        request = {"messages": [{"role": "user", "content": "I heard of later-key-88x"}]}
        httpx.post(f"{wire.url}/v1/messages", json=request, verify=False)
        headers = {"x-api-key": "later-key-88x"}
        httpx.post(f"{wire.url}/v1/messages", json={"messages": []} | request, headers=headers, verify=False)

    deck.run("new", body)
    assert "later-key-88x" not in deck.text
    assert len(deck.exchanges) == 2


def test_another_key_is_the_same_request(deck: Deck, wire: Wire) -> None:
    wire.json(wire.message("fine"))

    def body(key: str) -> Any:
        request = {"messages": [{"role": "user", "content": f"my key is {key}"}]}
        return httpx.post(
            f"{wire.url}/v1/messages", json=request, headers={"x-api-key": key}, verify=False
        ).status_code

    deck.run("new", lambda: body("key-number-one"))
    deck.matcher = Matcher(Redactor({"THE_KEY": "key-number-two"}))
    assert deck.run("replay", lambda: body("key-number-two")) == [200]


def test_a_different_prompt_is_never_answered_by_the_record_of_another(deck: Deck, ask: Ask) -> None:
    deck.run("new", ask("summarize the lamp ticket"))

    def body() -> None:
        with pytest.raises(ReplayError, match='"content": "write a poem"'):
            ask("write a poem")()

    deck.run("replay", body)


def test_what_is_written_is_the_same_each_time(deck: Deck, ask: Ask) -> None:
    deck.run("new", ask("one\ntwo", "Grüße 🙂"))
    first = deck.text
    data = json.loads(first)
    assert data["exchanges"][0]["request"]["json"]["messages"][0]["content"] == {"|": ["one", "two"]}
    deck.run("new", ask("one\ntwo", "Grüße 🙂", "three"))
    assert deck.text.startswith(first[: first.rindex("latency_ms")])
