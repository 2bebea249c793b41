"""No secret stays in a trace."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_kaizen.capture import Redactor
from pytest_kaizen.errors import ConfigError
from pytest_kaizen.models import Message, Part, Score, ScoreSource, Span, Trace

if TYPE_CHECKING:
    from pytest_kaizen.capture import Recorder
    from tests.capture.conftest import Wire

# Put together here, so that no scanner takes this file for a leak.
ANTHROPIC = "sk-ant-" + "api03-" + "Ab1_" * 22
OPENAI = "sk-" + "proj-" + "Ab1_" * 20
GITHUB = "ghp_" + "a1B2" * 9
AWS = "AKIA" + "QWERTYUIOP234567"
SLACK = "xoxb-" + "123456789012-abcdefABCDEF"
GOOGLE = "AIza" + "Sy0_-" * 7
JWT = ".".join(["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NSJ9", "c2lnbmF0dXJl"])
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\ndef\n-----END RSA PRIVATE KEY-----"


def trace(**fields: Any) -> Trace:
    return Trace(id="t", name="test", created_at=datetime.now(UTC), **fields)


def span(**fields: Any) -> Span:
    return Span(id="s", name="chat", started_at=datetime.now(UTC), **fields)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"key {ANTHROPIC}.", "key [redacted: Anthropic key]."),
        (f"({OPENAI})", "([redacted: OpenAI key])"),
        (f"{GITHUB} {AWS}", "[redacted: GitHub token] [redacted: AWS key id]"),
        (f"{SLACK},{GOOGLE}", "[redacted: Slack token],[redacted: Google key]"),
        (f"jwt={JWT}", "jwt=[redacted: JWT]"),
        (f"a {PEM} b", "a [redacted: private key] b"),
        (PEM[:40], "[redacted: private key]"),
        ("Authorization: Bearer abcDEF123456xyz", "Authorization: Bearer [redacted: bearer token]"),
        ("x-api-key: hunter2hunter2", "x-api-key: [redacted: credential]"),
        ("postgres://me:hunter2@db/x", "postgres://me:[redacted: password]@db/x"),
        (
            "https://x.test/?a=1&api_key=abcd1234&b=2",
            "https://x.test/?a=1&api_key=[redacted: credential]&b=2",
        ),
        ("GET /v1?key=abcd1234", "GET /v1?key=[redacted: credential]"),
        ('{"api-key": "s3cr3t", "n": 1}', '{"api-key": "[redacted: credential]", "n": 1}'),
        (r'"{\"password\": \"s3cr3t\"}"', r'"{\"password\": \"[redacted: credential]\"}"'),
    ],
)
def test_known_shapes(text: str, expected: str) -> None:
    redactor = Redactor({})
    assert redactor.text(text) == expected
    assert redactor.text(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "I forgot my password: what now? The secret is patience, the key is love.",
        "pip install sk-learn-contrib-for-task-management; task-management-with-disk-encryption",
        "bearer of bad news, Bearer certificates and bearer instruments",
        "see https://x.test:8080/a@b and http://[::1]:80/ or mailto:a@b.test",
        '{"max_tokens": 300, "token": "dog", "required": ["password"], "password": ""}',
        "eyJust a word. AKIA is not enough, AIza neither, ghp_short",
        "?monkey=banana&turkey=bird",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    redactor = Redactor({})
    assert redactor.text(text) == text
    kept = trace(input=text)
    assert redactor.trace(kept) is kept


def test_values_of_the_environment() -> None:
    redactor = Redactor(
        {
            "MY_API_KEY": "Tr0ub4dor&3-long",
            "DB_PASSWORD": 'quo"ted\\pass-1',
            "GITHUB_TOKENS": "abcdefghij1234",
            "SHORT_TOKEN": "abc123",
            "WORD_SECRET": "development",
            "NUMBER_KEY": "1234567890123",
            "SSH_KEY_PATH": "/home/me/.ssh/id_rsa",
            "KEYBOARD_LAYOUT": "de-nodeadkeys-1",
            "TOKENIZERS_PARALLELISM": "sometimes-not-1",
        }
    )
    assert redactor.text("a Tr0ub4dor&3-long b") == "a [redacted: $MY_API_KEY] b"
    assert redactor.text("?q=Tr0ub4dor%263-long") == "?q=[redacted: $MY_API_KEY]"
    assert redactor.text(json.dumps('quo"ted\\pass-1')) == '"[redacted: $DB_PASSWORD]"'
    assert redactor.text("abcdefghij1234") == "[redacted: $GITHUB_TOKENS]"
    rest = "abc123 development 1234567890123 /home/me/.ssh/id_rsa de-nodeadkeys-1 sometimes-not-1"
    assert redactor.text(rest) == rest


def test_a_secret_that_starts_with_another() -> None:
    redactor = Redactor({"A_TOKEN": "common-start-1", "B_TOKEN": "common-start-1-and-more"})
    assert redactor.text("common-start-1-and-more common-start-1") == (
        "[redacted: $B_TOKEN] [redacted: $A_TOKEN]"
    )


def test_learned_values() -> None:
    redactor = Redactor({})
    redactor.learn("local-dummy-1", "short", "ordinary", "")
    assert redactor.text("local-dummy-1 short ordinary") == "[redacted: request credential] short ordinary"
    assert redactor.trace(trace(input="no local-dummy-1")).input == "no [redacted: request credential]"


def test_own_patterns() -> None:
    redactor = Redactor({}, [r"CUST-\d+", r"pin (?P<secret>\d{4})"])
    assert redactor.text("CUST-17, pin 1234") == "[redacted: custom pattern], pin [redacted: custom pattern]"
    assert redactor.trace(trace(output=["x CUST-9"])).output == ["x [redacted: custom pattern]"]
    with pytest.raises(ConfigError, match=r"redaction pattern '\(' is not a regular expression"):
        Redactor({}, ["("])


def test_everything_in_a_trace_is_searched() -> None:
    @dataclass
    class Ticket:
        text: str

    message = Message.model_validate(
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": f"use {GITHUB}"},
                {"type": "tool_call", "name": "f", "arguments": {"deep": [{"x": f"{GITHUB}"}]}},
            ],
        }
    )
    attempt = {"started_at": datetime.now(UTC), "latency_ms": 1, "error": GITHUB}
    original = trace(
        input={"ticket": GITHUB, "password": "hunter2"},
        output=[Ticket(GITHUB)],
        reference=(GITHUB,),
        error=GITHUB,
        metadata={"nested": {GITHUB: 1}},
        scores=[Score(name="s", value=1, source=ScoreSource.CHECK, reason=GITHUB, expected=GITHUB)],
        spans=[
            span(input=[message], output=[message], error=GITHUB, metadata={"a": GITHUB}, attempts=[attempt])
        ],
    )
    before = original.model_dump_json()
    redacted = Redactor({}).trace(original)
    dumped = redacted.model_dump_json()
    assert GITHUB not in dumped
    assert "hunter2" not in dumped
    assert dumped.count("[redacted: GitHub token]") == before.count(GITHUB) == 14
    assert redacted.input["password"] == "[redacted: password]"
    assert redacted.spans[0].input[0].text == "use [redacted: GitHub token]"
    assert isinstance(redacted.spans[0].input[0].parts[0], Part)
    assert original.model_dump_json() == before
    assert Redactor({}).trace(redacted) is redacted


def test_what_refers_to_itself_is_cut() -> None:
    circle: dict[str, Any] = {"key": GITHUB, "kept": [1, "two"]}
    circle["self"] = circle
    deep: Any = GITHUB
    for _ in range(5000):
        deep = [deep]
    spans = [span(metadata={"in": circle})]
    redacted = Redactor({}).trace(trace(input=circle, metadata={"deep": deep}, spans=spans))
    plain = {"key": "[redacted: GitHub token]", "kept": [1, "two"], "self": "<nested too deep>"}
    assert redacted.input == redacted.spans[0].metadata["in"] == plain
    assert GITHUB not in redacted.model_dump_json()
    assert "<nested too deep>" in redacted.model_dump_json()


def test_only_a_field_named_like_a_secret() -> None:
    redacted = Redactor({}).trace(trace(metadata={"X-Api-Key": "plain", "n": {"client_secret": "w"}}))
    assert redacted.metadata == {
        "X-Api-Key": "[redacted: X-Api-Key]",
        "n": {"client_secret": "[redacted: client_secret]"},
    }


def test_a_named_secret_is_found_where_nothing_names_it() -> None:
    redacted = Redactor({}).trace(
        trace(input="use tr0ub4dor-3", metadata={"deep": [{"api_key": "tr0ub4dor-3"}], "password": "hello"})
    )
    assert redacted.input == "use [redacted: request credential]"
    assert redacted.metadata["password"] == "[redacted: password]"
    data = {"password": "tr0ub4dor-3", "note": "tr0ub4dor-3, hello"}
    assert Redactor({}).data(data)["note"] == "[redacted: request credential], hello"


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"Authorization": "Basic bWU6cGFzc3dvcmQtOTktbG9uZw=="}, "/v1/messages"),
        ({}, "/v1/messages?access_token=password-99-long"),
        ({}, "/v1/messages?key=password-99-long"),
    ],
)
def test_credentials_of_header_and_url(
    wire: Wire, recorder: Recorder, headers: dict[str, str], url: str
) -> None:
    wire.json(wire.message("password-99-long"))
    httpx.post(wire.url + url, json={"messages": []}, headers=headers, verify=False)
    assert "password-99-long" in recorder.secrets


def test_the_password_of_a_url(wire: Wire, recorder: Recorder) -> None:
    wire.json(wire.message("ok"))
    url = wire.url.replace("://", "://me:password-99-long@")
    httpx.post(f"{url}/v1/messages", json={}, headers={"authorization": "Bearer replaced-77"}, verify=False)
    assert {"password-99-long", "replaced-77"} <= recorder.secrets


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    redactor = Redactor({"A_TOKEN": "hunter2-hunter2"})
    once = redactor.text(f"{text}{GITHUB}{text}")
    assert GITHUB not in once or text[-1:].isalnum()
    assert redactor.text(once) == once


def test_a_credential_that_an_error_echoes(wire: Wire, recorder: Recorder) -> None:
    key = "local-proxy-pass-77"
    error = {"error": {"type": "authentication_error", "message": f"invalid key {key}"}}
    wire.json(error, status=401)
    httpx.post(
        f"{wire.url}/v1/messages?key=abcd1234",
        json={"model": "m", "messages": [{"role": "user", "content": key}]},
        headers={"Authorization": f"Bearer {key}"},
    )
    redactor = Redactor({})
    redactor.learn(*recorder.secrets)
    kept = redactor.trace(trace(spans=recorder.close()))
    assert kept.spans[0].error == "401 authentication_error: invalid key [redacted: request credential]"
    assert key not in kept.model_dump_json()
    assert "abcd1234" not in kept.model_dump_json()


def test_a_clean_trace_costs_little() -> None:
    message = Message(role="user", parts=[Part(type="text", content="An ordinary ticket. " * 50)])
    clean = trace(spans=[span(input=[message], output=[message], metadata={"url": "https://x.test"})])
    redactor = Redactor({f"K{n}_TOKEN": f"value-number-{n}" for n in range(10)})
    times = []
    for _ in range(200):
        start = time.process_time()
        assert redactor.trace(clean) is clean
        times.append(time.process_time() - start)
    # Some 20 µs; the bar leaves room for a busy machine.
    assert sorted(times)[len(times) // 2] < 500e-6
