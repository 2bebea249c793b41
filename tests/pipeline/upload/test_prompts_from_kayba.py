"""``prompts: {from: kayba}``: the newest prompt with the task's label runs, else the pinned one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_kaizen.config import load_config
from pytest_kaizen.errors import ConfigError
from pytest_kaizen.pipeline.pulled import pull_prompts
from pytest_kaizen.platforms import kayba
from pytest_kaizen.prompts import PromptLibrary
from pytest_kaizen.prompts.files import sha256_of

if TYPE_CHECKING:
    from tests.pipeline.upload.conftest import Platform, Route, Serve

KEY = {"KAYBA_API_KEY": "kayba-key"}
PROMPTS = [("p-3", 3, "support"), ("p-2", 2, "triage-prompts"), ("p-1", 1, "support"), ("p-0", 0, None)]


@pytest.fixture
def app(platform: type[Platform], route: type[Route], serve: Serve) -> Platform:
    metas = [kayba.PromptMeta(id=name, version=version, label=label) for name, version, label in PROMPTS]

    def get(prompt_id: str) -> kayba.Prompt:
        (meta,) = (meta for meta in metas if meta.id == prompt_id)
        return kayba.Prompt(**meta.model_dump(), content=kayba.PromptContent(text=f"Text of {prompt_id}.\n"))

    fake = platform(
        "kayba",
        [
            route("GET", "/api/prompts", "list_prompts", lambda: kayba.Prompts(metas)),
            route("GET", "/api/prompts/(.*)", "get_prompt", get),
        ],
    )
    serve(fake)
    return fake


def pull(root: Path, app: Platform, env: dict[str, str] = KEY) -> tuple[PromptLibrary, list[str]]:
    (root / "kaizen.yaml").write_text(
        "prompts: {from: kayba}\n"
        "tasks: {support: {}, triage: {}, other: {}}\n"
        f"backends: {{kayba: {{url: '{app.url}/api', labels: {{triage: triage-prompts}}}}}}\n",
        encoding="utf-8",
    )
    config = load_config(root)
    library = PromptLibrary(config)
    return library, pull_prompts(config, library, env)


def pin(root: Path, task: str) -> None:
    folder = root / "prompts" / task
    folder.mkdir(parents=True)
    (folder / "1.md").write_text("Pinned.", encoding="utf-8")
    lock = f"tasks:\n  {task}:\n    active: 1\n    versions:\n      1: {sha256_of('Pinned.')}\n"
    (root / "kaizen.lock").write_text(lock, encoding="utf-8")


def test_the_newest_with_the_tasks_label(tmp_path: Path, app: Platform) -> None:
    library, warnings = pull(tmp_path, app)
    assert warnings == []
    chosen = {task: (library.get(task).version, library.get(task).text) for task in ("support", "triage")}
    assert chosen == {"support": (3, "Text of p-3."), "triage": (2, "Text of p-2.")}
    assert app.asked("GET /api/prompts$") == 1


def test_the_pinned_text_where_there_is_none(tmp_path: Path, app: Platform) -> None:
    pin(tmp_path, "other")
    library, warnings = pull(tmp_path, app)
    assert library.get("other").text == "Pinned."
    assert warnings == [
        "prompt 'other': version 1 as kaizen.lock pins it, not Kayba's: "
        "Kayba has no prompt with the label 'other'"
    ]


def test_a_server_that_is_down_is_asked_once(tmp_path: Path, app: Platform) -> None:
    app.faults = [("prompts", 503)] * 9
    with pytest.raises(ConfigError, match=r"prompts: from kayba: told to; nothing is pinned for 'other'"):
        pull(tmp_path, app)
    pin(tmp_path, "other")
    app.log.clear()
    with pytest.raises(ConfigError, match="nothing is pinned for 'support'"):
        pull(tmp_path, app)
    assert len(app.log) == 1


def test_no_key(tmp_path: Path, app: Platform) -> None:
    with pytest.raises(
        ConfigError, match="prompts: from kayba: no key: set KAYBA_API_KEY in the environment"
    ):
        pull(tmp_path, app, {})
    assert app.log == []
