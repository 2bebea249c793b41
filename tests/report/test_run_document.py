from __future__ import annotations

import json
from pathlib import Path

import pytest_kaizen.report.as_json as module

PUBLISHED = Path(module.__file__).with_name("run.schema.json")


def test_the_published_schema_is_that_of_the_report() -> None:
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == module.run_schema()
