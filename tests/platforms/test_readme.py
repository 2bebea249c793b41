"""README's example of a client."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pytest_kaizen

if TYPE_CHECKING:
    from tests.platforms.conftest import Loopback

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("### Clients of the platforms\n")[2].partition("\n## ")[0]
TASK = (
    '{{"id": "3b4e1f2a-0000-4000-8000-00000000000{0}", "name": "task_{0}", "feedback_threshold": 50,'
    ' "created_at": "2026-03-30T10:00:00Z"}}'
)
PROMPT = (
    '{"id": "7c8d9e0f-0000-4000-8000-000000000002", "task_id": "3b4e1f2a-0000-4000-8000-000000000001",'
    ' "version_number": 3, "status": "active", "created_at": "2026-03-30T10:00:00Z"}'
)


def test_the_example_works(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KAIZEN_API_KEY", "ct-key")
    monkeypatch.setenv("KAIZEN_BASE_URL", loopback.url)
    loopback.answer(200, f"[{TASK.format(1)}, {TASK.format(2)}]")
    loopback.answer(200, PROMPT)
    loopback.answer(404, '{"detail": "no active prompt"}')
    (example,) = re.findall(r"^```python\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out == "task_1 3\ntask_2 has no active prompt\n"


def test_every_public_client_and_its_environment_is_named() -> None:
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", SECTION, re.MULTILINE)
    named = {name for clients, _ in rows for name in re.findall(r"`(\w+)`", clients)}
    assert named == {name for name in pytest_kaizen.__all__ if name.endswith("Client")}
    for clients, variables in rows:
        for name in re.findall(r"`(\w+)`", clients):
            client = getattr(pytest_kaizen, name)
            assert f"`{client.key_variable}`, `{client.url_variable}`" in variables
