"""Secrets that a suite handles are in nothing that is sent to a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite
    from tests.plugin.upload.conftest import Collector, FakeCT

# Put together here, so that no scanner takes this file for a leak.
CANARIES = {
    "environment": "canary-environ-a81b44",
    "key": "canary-key-of-the-request",
    "shape": "ghp_" + "a1B2" * 9,
    "pattern": "CUST-4471993",
}


def test_no_canary_is_sent(
    suite: Suite, ct: FakeCT, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILLING_TOKEN", CANARIES["environment"])
    everything = " ".join(CANARIES.values())
    suite.write("redact: ['CUST-\\d+']", "kaizen.yaml")
    suite.llm.reply(f"you told me {everything}")
    suite.write(f"""
        import os
        import httpx
        import pytest

        @pytest.mark.kaizen("support")
        @pytest.mark.kaizen_threshold("polite", min=0.9)
        def test_it(kaizen):
            message = {{"role": "user", "content": "{everything}"}}
            body = {{"model": "m", "max_tokens": 9, "messages": [message]}}
            headers = {{"x-api-key": "{CANARIES["key"]}"}}
            httpx.post(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", json=body, headers=headers)
            kaizen.score("polite", 0.5, reason="because of {everything}")
            raise ValueError("{everything}")
    """)
    suite.run("--kaizen-backend=kaizen-ct", "--kaizen-backend=otlp", failed=1)
    for server in (ct, collector):
        assert "you told me [redacted: " in server.text
        assert [name for name, value in CANARIES.items() if value in server.text] == []
