"""Secrets that a suite handles are in nothing that is written or printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

# Each where its name says; put together here, so that no scanner takes this file for a leak.
CANARIES = {
    "header": "canary-header-7f3a91",
    "bearer": "canary-bearer-Zq81kx",
    "query": "canary-query-55ab0e",
    "userinfo": "canary-userinfo-9d2c",
    "json": "canary-json-field-31c7",
    "environment": "canary-environ-a81b44",
    "pattern": "CUST-4471993",
    "tool": "ghp_" + "a1B2" * 9,
    "sse": "sk-ant-" + "api03-" + "Ab1_" * 10,
    "error": "AKIA" + "QWERTYUIOP234567",
    "prompt": "xoxb-" + "123456789012-abcdefABCDEF",
    "reply": "glpat-" + "x1Y2z3" * 5,
    "check": "hf_" + "aB3d" * 9,
    "raised": "sk_live_" + "4eC39HqLyjWD",
}
TEST = """
    import json
    import os
    import pathlib

    import httpx
    import pytest

    C = json.loads(pathlib.Path("canaries.json").read_text())
    URL = os.environ["ANTHROPIC_BASE_URL"]

    def post(path="/v1/messages?api_key=" + C["query"], stream=False, text="hello", **more):
        body = {
            "model": "m", "max_tokens": 9, "stream": stream, "api_key": C["json"],
            "messages": [{"role": "user", "content": text}],
        } | more
        headers = {"x-api-key": C["header"], "authorization": "Bearer " + C["bearer"]}
        url = URL.replace("://", "://me:" + C["userinfo"] + "@") + path
        with httpx.Client(verify=False, headers=headers) as client:
            with client.stream("POST", url, json=body) as response:
                return "".join(response.iter_text())

    @pytest.mark.kaizen("greet")
    @pytest.mark.kaizen_threshold("warmth", min=0.9)
    def test_calls(kaizen):
        post(system=kaizen.prompt("greet").text)
        everything = " ".join(C.values())
        answer = post(text=f"all of them: {everything}")
        assert C["reply"] in answer
        post(stream=True)
        arguments = {"remote": "https://x:" + C["tool"] + "@h"}
        tool = {"type": "tool_use", "id": "t1", "name": "push", "input": arguments}
        post(messages=[{"role": "assistant", "content": [tool]}])
        post(text="fail")
        with kaizen.span("push") as span:
            span.input = {"token": C["tool"], "all": everything}
            span.metadata["key"] = C["environment"]
        kaizen.case(input=everything, output=everything, reference=everything)
        kaizen.score("warmth", 0.5, reason=f"because of {everything}")
        kaizen.check("no secret", False, reason=C["check"])

    @pytest.mark.kaizen("greet")
    def test_raises(kaizen):
        post(text="again")
        raise ValueError("charged with " + C["raised"])
"""


@pytest.fixture
def planted(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.setenv("BILLING_TOKEN", CANARIES["environment"])
    suite.write("redact: ['CUST-\\d+']", "kaizen.yaml")
    suite.write(json.dumps(CANARIES), "canaries.json")
    suite.prompts("greet", f"Use the key {CANARIES['prompt']} for {CANARIES['pattern']}.")
    suite.write(TEST)
    everything = " ".join(CANARIES.values())
    secret = CANARIES["sse"]
    suite.llm.fail(400, message=f"bad request for {CANARIES['error']} and {CANARIES['header']}", when="fail")
    suite.llm.reply(f"you told me {everything}", when="all of them")
    suite.llm.reply(chunks=["key: ", secret[:9], secret[9:20], secret[20:], " ok"], when="hello")
    return suite


def leaks(suite: Suite) -> dict[str, set[str]]:
    """Which canaries are in which file of ours."""
    kept = [path for folder in (".kaizen", "cassettes") for path in (suite.root / folder).rglob("*")]
    kept += [path for path in suite.root.glob("kaizen-*") if path.is_file()]
    found: dict[str, set[str]] = {}
    for path in kept:
        content = path.read_bytes() if path.is_file() else b""
        for name, value in CANARIES.items():
            if value.encode() in content or value[-8:].encode() in content:
                found.setdefault(str(path.relative_to(suite.root)), set()).add(name)
    return found


@pytest.mark.parametrize("mode", ["live", "new"])
def test_no_canary_is_kept(planted: Suite, mode: str) -> None:
    reports = [f"--kaizen-report=kaizen-report.{ending}" for ending in ("md", "json")]
    planted.run(f"--kaizen-record={mode}", "--kaizen-save-baseline", *reports, failed=2)
    assert len(planted.llm.requests) == 6
    assert leaks(planted) == {}
    assert all("warmth" in (planted.root / f"kaizen-report.{end}").read_text() for end in ("md", "json"))
    # What the test itself raises is pytest's to show.
    shown = {name for name, value in CANARIES.items() if value in planted.text + planted.errors}
    assert shown == {"raised"}
