"""The cassettes of a session: one for each test while it runs."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from ..capture import Redactor
from ..capture.cassettes import Cassette, Matcher, Mode, Tape, cassette_path
from ..config import Config
from ..errors import CassetteError, ReplayError
from ..pipeline import CasePlan

#: With its own server the test says itself what is answered.
_SCRIPTED = "kaizen_llm"
_CASSETTE = pytest.StashKey[Cassette]()


class SessionCassettes:
    """Gives each sample the tape that its calls are replayed from and recorded to.

    Args:
        config: The mode, and what may differ between a request and its record.
        redactor: Takes secrets out of what is kept.
    """

    def __init__(self, config: Config, redactor: Redactor) -> None:
        self._config = config
        self._root = config.root.as_posix().removesuffix("/") + "/"
        ignored = config.cassettes
        self._matcher = Matcher(redactor, ignored.ignore_fields, ignored.ignore_text)

    def begin(self, item: pytest.Item, plan: CasePlan) -> None:
        """Make the cassette of a test that starts, or starts again; calls that are live need none."""
        mode = Mode(plan.record or self._config.record)
        if plan.record is None and _SCRIPTED in getattr(item, "fixturenames", ()):
            mode = Mode.LIVE
        if mode is Mode.LIVE:
            return
        test = _test_name(item)
        path = cassette_path(item.path, test)
        # As text: pathlib takes ten times as long for it.
        name = path.as_posix().removeprefix(self._root)
        item.stash[_CASSETTE] = Cassette(path, name, test, mode, self._matcher)

    def tape(self, item: pytest.Item, sample: int, prompts: Mapping[str, tuple[int, str]]) -> Tape | None:
        """Return what a sample's recorder is to hold as ``tape``; None for a test whose calls are live.

        Args:
            item: The test.
            sample: The sample's number.
            prompts: The prompt versions that it has fetched; looked at with every call.
        """
        cassette = item.stash.get(_CASSETTE, None)
        return cassette.tape(sample, prompts) if cassette is not None else None

    def end(self, item: pytest.Item, error: BaseException | None, *, whole: bool = True) -> str | None:
        """Write what a test recorded, once its samples are scored.

        Args:
            item: The test.
            error: What a sample ended with, be it a skip; None when all of them ran to their end.
            whole: These were all the samples of the test; else, what they did not use is kept.

        Returns:
            What the test is to fail with: a call that could not be replayed, even if the test hid
            it, or a file that cannot be written. None when there is nothing of the kind, or the test
            fails for a reason of its own.
        """
        cassette = item.stash.get(_CASSETTE, None)
        if cassette is None:
            return None
        del item.stash[_CASSETTE]
        try:
            cassette.finish(complete=whole and error is None)
        except CassetteError as exc:
            return str(exc)
        if not cassette.misses or not (error is None or isinstance(error, ReplayError)):
            return None
        return _line_of(error, item.path) + cassette.misses[0]


def _line_of(error: BaseException | None, path: Path) -> str:
    """Say where in the test's file an error came from; through an SDK, its traceback is long."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{path.name}:{lines[-1]}: " if lines else ""


def _test_name(item: pytest.Item) -> str:
    """Name a test within its file; not by its node id, to which pytest-xdist adds a group."""
    parts = [node.name for node in item.listchain() if isinstance(node, (pytest.Class, pytest.Item))]
    return "::".join(parts)
