"""Secrets that a suite handles are in nothing that a search for a better prompt writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.scripted import Request

if TYPE_CHECKING:
    from tests.plugin.conftest import Suite

# Put together here, so that no scanner takes this file for a leak.
CANARIES = {
    "environment": "canary-environ-a81b44",
    "input": "ghp_" + "a1B2" * 9,
    "output": "AKIA" + "QWERTYUIOP234567",
    "reason": "hf_" + "aB3d" * 9,
    "raised": "sk_live_" + "4eC39HqLyjWD",
    "pattern": "CUST-4471993",
}
TEST = """
    import json
    import pathlib
    import pytest

    C = json.loads(pathlib.Path("canaries.json").read_text())

    @pytest.mark.kaizen("greet")
    @pytest.mark.kaizen_threshold("pass_rate", min=0)
    @pytest.mark.parametrize("number", range(40))
    def test_greeting(kaizen, ask, number):
        text = ask(f"person {number} {C['input']} {C['environment']} {C['pattern']}",
                   system=kaizen.prompt("greet").text)
        kaizen.check("warm", float("Dear" in text), f"there is no Dear in it: {C['reason']}")
        if number % 9 == 1 and "Dear" not in text:
            raise ValueError(C["raised"])
"""


def test_no_canary_is_kept_or_shown_to_the_reflecting_model(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: Request) -> str:
        wanted = (request.schema or {}).get("properties", {})
        if "lessons" in wanted:
            lesson = dict.fromkeys(["justification", "section", "when", "replaces"], "")
            lesson |= {"criterion": "warm", "rule": "Begin with Dear.", "confidence": "high"}
            # A model quotes what it read.
            quoted = request.last_user_text[-2000:]
            return json.dumps({"lessons": [{**lesson, "evidence": [1], "justification": quoted}]})
        polite = "Begin with Dear." in request.system
        return f"{'Dear' if polite else 'Hey'} {request.last_user_text} {CANARIES['output']}"

    for name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "BUILDKITE", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BILLING_TOKEN", CANARIES["environment"])
    suite.llm.reply(answer)
    suite.prompts("greet", "You greet people.")
    suite.write("tasks: {greet: {gate: [{metric: warm, min: 0.9}]}}\nredact: ['CUST-\\d+']", "kaizen.yaml")
    suite.write(json.dumps(CANARIES), "canaries.json")
    suite.write(TEST)
    suite.run("--kaizen-optimize=activate")
    assert "accepted: the candidate gained" in suite.text
    shown = [request.last_user_text for request in suite.llm.record if request.schema]
    assert shown
    assert [name for name, value in CANARIES.items() if any(value in text for text in shown)] == []
    with suite.store as store:
        assert store.insights()
        assert store.proposals()
        assert store.jobs.newest()
    written = [*(suite.root / ".kaizen").rglob("*"), *(suite.root / "prompts").rglob("*")]
    written += [suite.root / "kaizen.lock"]
    leaks = {
        (str(path.relative_to(suite.root)), name)
        for path in written
        if path.is_file()
        for name, value in CANARIES.items()
        if value.encode() in path.read_bytes()
    }
    assert leaks == set()
