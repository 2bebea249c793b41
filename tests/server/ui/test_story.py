"""What a team does: `kaizen serve`, the example's runs brought to it, and the work on its pages."""

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
        assert process.wait(300) == 0


def upload_example(server: Server, tmp_path: Path) -> None:
    """Run three cases of the example, with its simulated model, and bring the run to the server."""
    folder = tmp_path / "support_bot"
    shutil.copytree(_EXAMPLE, folder, ignore=shutil.ignore_patterns(".kaizen", "__pycache__"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANTHROPIC_")}
    env |= {"KAIZEN_BASE_URL": server.url, "KAIZEN_API_KEY": server.key}
    # Other plugins would take longer to load than the run takes.
    env |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_kaizen.plugin"}
    cases = "T-1001 or T-1002 or T-1003"
    command = [sys.executable, "-m", "pytest", "--kaizen", "--kaizen-backend", "kaizen", "-q", "-k", cases]
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
    page.goto("/ui/runs")
    page.get_by_label("API key").fill(server.key)
    page.get_by_role("button", name="Sign in").click()

    # The run, down to a call's messages.
    page.get_by_role("region", name="Runs").locator("tbody th a").click()
    page.get_by_role("link", name="summarize_ticket").click()
    expect(page.get_by_role("region", name="Cases").locator("tbody tr")).to_have_count(3)
    page.get_by_role("columnheader", name="Score").get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="Score")).to_have_attribute("aria-sort", "ascending")
    keep(page, tmp_path, "story-task")
    page.get_by_role("link", name="T-1002").click()
    expect(page.get_by_role("heading", name="Sample")).to_contain_text("pass")
    page.locator("main").get_by_role("link", name=re.compile("^Trace ")).click()
    page.locator("summary", has_text="LLM").first.click()
    expect(page.locator("details[open] .message").first).to_be_visible()
    keep(page, tmp_path, "story-trace")

    # Insights are drawn by a job, which is watched to its end.
    page.get_by_role("link", name="Insights").click()
    page.get_by_text("Draw insights from traces").click()
    page.get_by_label("Model").fill("claude-haiku-4-5")
    page.get_by_role("button", name="Draw").click()
    expect(page.locator("[data-field=status]")).to_have_text("completed")
    keep(page, tmp_path, "story-job")

    # What came of it is decided about, and becomes a prompt.
    page.get_by_role("link", name="Insights that wait for a decision").click()
    # Keys that are pressed before the page is there are lost.
    expect(page.get_by_role("button", name="Accept")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(page.get_by_role("status")).to_have_text("accepted: Name a date.")
    page.get_by_role("link", name="accepted (1)").click()
    page.get_by_role("button", name="Write the accepted insights").click()
    expect(page.get_by_label("Text")).to_contain_text("Name a date.")
    keep(page, tmp_path, "story-prompt")
    assert shown == []
    context.close()
