"""The way of a proposal to the active version."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_kaizen.config import load_config
from pytest_kaizen.errors import PromptError
from pytest_kaizen.models import Proposal, ProposalStatus
from pytest_kaizen.pipeline.improve import activate_proposal, open_proposal, take_over
from pytest_kaizen.store import Store
from tests.pipeline.pulls.conftest import proposal


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "prompts/greet").mkdir(parents=True)
    (tmp_path / "prompts/greet/1.md").write_text("You greet people.\n")
    return tmp_path


def test_a_text_is_activated_as_it_was_proved(root: Path) -> None:
    config = load_config(root, env={})
    # What a prompt file would take for its own front matter, and thus out of the text.
    for text in ("---\nmodel: other\n---\nBe warm.", "---\n---\nBe warm."):
        with pytest.raises(PromptError, match="cannot stand in a prompt file as it is: not activated"):
            take_over(config, proposal(text))
    assert [path.name for path in (root / "prompts/greet").iterdir()] == ["1.md"]
    assert not (root / "kaizen.lock").exists()
    assert take_over(config, proposal("Be warm.\n---\nBe kind.\n\n")) == 2
    assert (root / "prompts/greet/2.md").read_text().endswith("\nBe warm.\n---\nBe kind.\n")


@pytest.mark.parametrize("status", list(ProposalStatus))
def test_what_is_open_is_found_and_keeps_others_out(root: Path, status: ProposalStatus) -> None:
    config = load_config(root, env={})
    mine = proposal(status=status)
    is_open = status not in ("activated", "dismissed")
    with Store.open(root / ".kaizen/kaizen.db") as store:
        store.save_proposal(mine)
        store.save_proposal(proposal(id="elsewhere", parent_sha256="0" * 64))
        found: Proposal | None = open_proposal(config, store, "greet")
        assert found == (mine if is_open else None)
        if is_open:
            activate_proposal(config, store, mine)
            assert [p.status for p in store.proposals()][1] is ProposalStatus.ACTIVATED
