"""``kaizen_when_off = run``: the fixture in a session without ``--kaizen``.

Prompts are served and a check that does not hold fails the test at once. Nothing is captured,
stored or gated.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ..capture import Redactor
from ..config import load_config
from ..pipeline import CasePlan, LiveSample, Scoring
from ..prompts import PromptLibrary
from . import options
from .fixture import Kaizen
from .judging import SessionJudge
from .root import kaizen_root


class _PlainKaizen(Kaizen):
    def check(self, name: str, passed_or_score: bool | float, reason: str | None = None) -> None:
        super().check(name, passed_or_score, reason)
        if name in self._sample.failed_checks:
            pytest.fail(f"check '{name}' failed" + (f": {reason}" if reason else ""), pytrace=False)


_PARTS = pytest.StashKey[tuple[Path, PromptLibrary, Scoring]]()


def _parts(config: pytest.Config) -> tuple[Path, PromptLibrary, Scoring]:
    if _PARTS not in config.stash:
        root = kaizen_root(config)
        settings = load_config(root, cli=options.from_command_line(config), ini=options.from_ini(config))
        judge = SessionJudge(settings)
        config.add_cleanup(judge.close)
        config.stash[_PARTS] = (root, PromptLibrary(settings), Scoring(Redactor({}), judge))
    return config.stash[_PARTS]


def fixture_when_off(request: pytest.FixtureRequest) -> Kaizen:
    """Make the fixture's value for a test that runs without ``--kaizen``."""
    root, library, scoring = _parts(request.config)
    item = request.node
    sample = LiveSample(CasePlan(case_id=item.nodeid, name=item.name), run_id=options.OFF_REASON)
    return _PlainKaizen(lambda: sample, library, scoring, root)
