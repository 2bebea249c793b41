"""Prompt versions in the store alone: which one a search starts from, and how versions are added."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_kaizen.errors import UsageError
from pytest_kaizen.models import (
    Acceptance,
    Decision,
    Insight,
    InsightStatus,
    Job,
    PromptVersion,
    Proposal,
    ProposalStatus,
    Spend,
)
from pytest_kaizen.pipeline import jobs
from pytest_kaizen.pipeline.prompt_versions import (
    active_text,
    add_draft,
    dismiss_open,
    prompt_to_improve,
    write_stored_prompt,
)
from pytest_kaizen.prompts.files import sha256_of
from pytest_kaizen.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "kaizen.db") as opened:
        yield opened


def put(store: Store, *texts: str, active: int | None = None) -> None:
    store.save_prompts(
        PromptVersion(task="t", version=number, sha256=sha256_of(text), text=text)
        for number, text in enumerate(texts, 1)
    )
    if active is not None:
        store.activations.activate("t", active)


def begun(store: Store, sha256: str) -> Job:
    job = jobs.create(store, "optimize", "t", {"prompt_sha256": sha256})
    jobs.stop(store, job.id)
    return job


def proposal(text: str, parent: str, after: float = 0.75) -> Proposal:
    verdict = Acceptance(
        decision=Decision.ACCEPTED, after=after, min_gain=0, confidence=0.95, look=1, level=0.05, sentence="s"
    )
    return Proposal(
        id="p1",
        task="t",
        parent_sha256=sha256_of(parent),
        sha256=sha256_of(text),
        text=text,
        diff=[],
        engine="insights",
        acceptance=verdict,
        spend=Spend(),
    )


def test_a_search_starts_from_the_active_version(store: Store) -> None:
    with pytest.raises(UsageError, match="no version of the prompt of 't' is active"):
        prompt_to_improve(store, "t")
    put(store, "One {{ x }}.\n", "Two.", active=1)
    assert active_text(store, "t") == "One {{ x }}.\n"
    assert active_text(store, "u") == ""
    prompt = prompt_to_improve(store, "t")
    assert (prompt.version, prompt.text, prompt.variables) == (1, "One {{ x }}.", ("x",))
    assert prompt.sha256 == sha256_of("One {{ x }}.")


def test_a_search_goes_on_from_the_version_it_was_begun_with(store: Store) -> None:
    put(store, "One.", "Two.", active=2)
    assert prompt_to_improve(store, "t", begun(store, sha256_of("One."))).version == 1
    assert prompt_to_improve(store, "t", begun(store, sha256_of("Gone."))).version == 2


def test_a_draft_is_added_once(store: Store) -> None:
    put(store, "One.", "Two.", active=1)
    found = proposal("One. And more.", "One.")
    for _ in range(2):
        draft = add_draft(store, found)
        assert (draft.version, draft.parent, draft.eval_score, draft.source) == (3, 1, 0.75, "optimizer")
    assert [known.version for known in store.prompts("t")] == [1, 2, 3]
    assert store.activations.active("t") == 1


def test_open_proposals_are_dropped(store: Store) -> None:
    store.save_proposal(proposal("A", "One."))
    dismiss_open(store, "t")
    assert [known.status for known in store.proposals()] == [ProposalStatus.DISMISSED]


def test_a_prompt_of_insights(store: Store) -> None:
    def accept(name: str, rule: str) -> None:
        store.save_insights([Insight(id=name, task="t", rule=rule, status=InsightStatus.ACCEPTED)])

    with pytest.raises(UsageError, match="no accepted insights"):
        write_stored_prompt(store)
    accept("a", "Use {{ x }}.")
    with pytest.raises(UsageError, match="none of the 1 insights of 't' can stand in a prompt"):
        write_stored_prompt(store)
    accept("b", "Be brief.")
    first = write_stored_prompt(store)
    assert (first.id, first.note, first.parent) == ("t@1", "With 1 insight.", None)
    assert store.activations.active("t") == 1
    assert write_stored_prompt(store) == first
    accept("c", "Be kind.")
    second = write_stored_prompt(store, label="kinder")
    assert (second.id, second.note, second.parent) == ("t@2", "kinder", 1)
    # The active one is still the first: what comes of the same insights is there already.
    assert write_stored_prompt(store, label="again") == second
    assert store.activations.active("t") == 1
