"""What a team does: `kaizen serve`, the example's suite uploaded to it, and the work on its pages."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from playwright.sync_api import Browser, expect

from pytest_kaizen.scripted import Request, ScriptedLLM

from .conftest import PATIENCE_MS, keep, needs_chromium, note

pytestmark = needs_chromium

_EXAMPLE = Path(__file__).parents[3] / "examples" / "support_bot"


class Server(NamedTuple):
    url: str
    key: str


@pytest.fixture
def server(tmp_path: Path, model: ScriptedLLM) -> Iterator[Server]:
    """A server of its own, which prints where it is and its first key; jobs ask the scripted model."""
    command = [sys.executable, "-m", "pytest_kaizen.cli", "serve", "--port", "0", "--store", "store"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(2)]
        found = re.search(r"(http://\S+).*(kz_\S+)", " ".join(told), re.DOTALL)
        assert found, told
        yield Server(found[1], found[2])
        process.terminate()
        assert process.wait(60) == 0


def upload_example(server: Server, tmp_path: Path) -> None:
    """Run three cases of the example, with its simulated model, and upload them."""
    folder = tmp_path / "support_bot"
    shutil.copytree(_EXAMPLE, folder, ignore=shutil.ignore_patterns(".kaizen", "__pycache__"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANTHROPIC_")}
    env |= {"KALMIA_BASE_URL": server.url, "KALMIA_API_KEY": server.key}
    cases = "T-1001 or T-1002 or T-1003"
    command = [sys.executable, "-m", "pytest", "--kaizen", "--kaizen-backend", "kalmia", "-q", "-k", cases]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def answer(request: Request) -> str:
    if "relations" in (request.schema or {}).get("properties", {}):
        return json.dumps({"relations": []})
    texts: dict[str, Any] = dict.fromkeys(("justification", "criterion", "when", "replaces"), "")
    lesson = {**texts, "section": "style", "evidence": [1], "confidence": "high", "rule": "Name a date."}
    return json.dumps({"lessons": [lesson]})


def test_from_the_suite_to_a_better_prompt(
    chromium: Browser, server: Server, model: ScriptedLLM, tmp_path: Path
) -> None:
    model.reply(answer)
    upload_example(server, tmp_path)
    context = chromium.new_context(base_url=server.url)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    shown: list[str] = []
    page.on("console", lambda said: note(shown, said))
    page.goto("/ui/experiments")
    page.get_by_label("API key").fill(server.key)
    page.get_by_role("button", name="Sign in").click()

    # The run that was uploaded, down to a call's messages.
    page.locator("tbody th a").click()
    expect(page.get_by_role("region", name="Mean scores")).to_contain_text("names the product")
    page.get_by_role("region", name="Traces").get_by_role("link").first.click()
    page.locator("summary", has_text="LLM").first.click()
    expect(page.locator("details[open] .message").first).to_be_visible()
    keep(page, tmp_path, "story-trace")

    # A job is watched to its end.
    started = httpx.post(
        f"{server.url}/api/insights/generate",
        headers={"X-API-Key": server.key},
        json={"model": "claude-haiku-4-5"},
    )
    page.goto(f"/ui/jobs/{started.json()['jobId']}")
    expect(page.locator("[data-field=status]")).to_have_text("completed")
    keep(page, tmp_path, "story-job")

    # What came of it is decided about, and becomes a prompt.
    page.get_by_role("link", name="Insights that wait for a decision").click()
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(page.get_by_role("status")).to_have_text("accepted: Name a date.")
    page.get_by_role("link", name="accepted (1)").click()
    page.get_by_role("button", name="Write the accepted insights").click()
    expect(page.get_by_label("Text")).to_contain_text("Name a date.")
    keep(page, tmp_path, "story-prompt")
    assert shown == []
    context.close()
