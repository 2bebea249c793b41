"""Insights and proposals: kept, changed by id, one open at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_kaizen.errors import StoreError
from pytest_kaizen.models import (
    Acceptance,
    CasePair,
    Decision,
    Insight,
    InsightStatus,
    Proposal,
    ProposalStatus,
    Spend,
)
from pytest_kaizen.store import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def insight(name: str, **fields: Any) -> Insight:
    return Insight(**{"id": name, "task": "sum", "rule": f"Rule {name}.", "evidence": ("t1", "t2"), **fields})


def proposal(name: str, **fields: Any) -> Proposal:
    acceptance = Acceptance(
        decision=Decision.ACCEPTED,
        min_gain=0.02,
        confidence=0.95,
        look=1,
        level=0.03,
        cases=[CasePair(case_id="c", before=0.1, after=0.9)],
        sentence="accepted",
    )
    values = {"id": name, "task": "sum", "parent_sha256": "p", "sha256": "s", "text": "Better.", "diff": []}
    evidence = {"acceptance": acceptance, "spend": Spend(rollouts=3), "insights": [insight("i")]}
    return Proposal(**{**values, **evidence, "engine": "insights", **fields})


def test_insights_are_listed_newest_first_and_change_by_id(store: Store) -> None:
    a, b, other = insight("a"), insight("b", created_at=NOW), insight("c", task="other")
    store.save_insights([a, b, other])
    assert store.insights("sum") == [b, a]
    accepted = a.model_copy(update={"status": InsightStatus.ACCEPTED, "note": "yes"})
    store.save_insights([accepted])
    assert store.insights(status="accepted") == [accepted]
    assert store.insights() == [other, b, accepted]


def test_one_proposal_is_open_per_prompt(store: Store) -> None:
    first = proposal("1")
    store.save_proposal(first)
    assert store.proposals("sum", "open") == [first]
    with pytest.raises(StoreError, match="'sum' has an open proposal for this prompt already"):
        store.save_proposal(proposal("2"))
    store.save_proposal(proposal("3", parent_sha256="q"))
    store.save_proposal(first.model_copy(update={"status": ProposalStatus.DISMISSED}))
    store.save_proposal(proposal("2"))
    assert [found.id for found in store.proposals("sum", "open")] == ["2", "3"]
