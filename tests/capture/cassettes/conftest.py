from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kaizen.capture import Recorder, Redactor, recording
from pytest_kaizen.capture.cassettes import Cassette, Matcher, Mode

if TYPE_CHECKING:
    from pytest_kaizen.capture import Capture
    from pytest_kaizen.models import Span


class Deck:
    """Runs a body with a cassette, as a session runs a test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.matcher = Matcher(Redactor({}))
        self.spans: list[Span] = []
        self.misses: list[str] = []

    def run(
        self,
        mode: str,
        *bodies: Callable[[], Any],
        complete: bool = True,
        prompts: Mapping[str, tuple[int, str]] | None = None,
    ) -> list[Any]:
        """Run each body as a sample; return what they gave."""
        cassette = Cassette(self.path, self.path.name, "test_it", Mode(mode), self.matcher)
        given = []
        self.spans = []
        for sample, body in enumerate(bodies):
            recorder = Recorder()
            recorder.tape = cassette.tape(sample, prompts or {})
            with recording(recorder):
                given.append(body())
            self.spans += recorder.close()
        cassette.finish(complete=complete)
        self.misses = cassette.misses
        return given

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def exchanges(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.text)["exchanges"]
        return found

    @property
    def asked(self) -> list[str]:
        """The last message of each recorded request."""
        return [exchange["request"]["json"]["messages"][-1]["content"] for exchange in self.exchanges]


@pytest.fixture
def deck(tmp_path: Path, capture: Capture) -> Deck:  # noqa: ARG001 - installs it
    return Deck(tmp_path / "cassettes" / "test_module" / "test_it.json")
