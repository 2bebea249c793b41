"""Accepted insights as rules in the next version of a prompt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_kaizen.config import Config, load_config
from pytest_kaizen.errors import PromptError, StoreError, UsageError
from pytest_kaizen.models import Insight, InsightStatus, PromptVersion
from pytest_kaizen.pipeline.prompt_versions import prompt_version, write_prompt
from pytest_kaizen.prompts import activate_version
from pytest_kaizen.store import Store


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "prompts/greet").mkdir(parents=True)
    (tmp_path / "prompts/greet/1.md").write_text("You greet {{ name }}.\n\nFollow these rules:\n- Be kind.\n")
    return load_config(tmp_path)


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with Store.open(config.store) as opened:
        yield opened


def accept(store: Store, name: str, rule: str, **fields: Any) -> None:
    values = {"id": name, "task": "greet", "rule": rule, "status": InsightStatus.ACCEPTED, **fields}
    store.save_insights([Insight(**values)])


def test_rules_come_at_the_end_of_the_active_version_the_oldest_first(config: Config, store: Store) -> None:
    accept(store, "a", "Name a date.", when="asked when")
    accept(store, "b", "Be kind.")
    accept(store, "c", "Be brief.", contradicts=("a", "other"))
    accept(store, "d", "Ask about {{ weather }}.")
    accept(store, "e", "Shout.", status=InsightStatus.PENDING)
    made = write_prompt(config, store, label="spring")
    assert made.version.text == (
        "You greet {{ name }}.\n\nFollow these rules:\n- Be kind.\n- asked when: Name a date.\n- Be brief."
    )
    assert (made.version.id, made.version.note, made.version.source) == ("greet@2", "spring", "insights")
    assert (made.new, made.active) == (True, 2)
    assert made.added == ["asked when: Name a date.", "Be brief."]
    assert made.left_out == ["Ask about {{ weather }}."]
    assert made.clashing == [("Be brief.", "asked when: Name a date.")]
    assert [(version.source, version.version) for version in store.prompts("greet")] == [("insights", 2)]

    # Once more, there is nothing to add.
    again = write_prompt(config, store)
    assert (again.new, again.version.id, again.added) == (False, "greet@2", [])
    assert not (config.root / "prompts/greet/3.md").exists()


def test_a_locked_version_stays_active(config: Config, store: Store) -> None:
    activate_version(config, "greet", 1)
    accept(store, "a", "Name a date.")
    made = write_prompt(config, store)
    assert (made.version.version, made.active, made.version.note) == (2, 1, "With 1 insight.")


def test_named_insights_may_be_pending_but_not_rejected_or_of_another_task(
    config: Config, store: Store
) -> None:
    accept(store, "aa", "Accepted.")
    accept(store, "ab", "Pending.", status=InsightStatus.PENDING)
    accept(store, "ac", "Rejected.", status=InsightStatus.REJECTED)
    accept(store, "ba", "Other.", task="default")
    assert write_prompt(config, store, insight_ids=["ab"]).added == ["Pending."]
    refused = {
        ("ac",): "insight ac is rejected",
        ("aa", "ba"): "insight ba is of the task 'default', not of 'greet'",
        ("a",): "several insights are meant by 'a'",
        ("zz",): "no insight is meant by 'zz'",
    }
    for ids, why in refused.items():
        with pytest.raises(UsageError, match=why):
            write_prompt(config, store, insight_ids=ids)
    with pytest.raises(UsageError, match=r"of several tasks \(default, greet\); name one: --task"):
        write_prompt(config, store)
    made = write_prompt(config, store, task="default")
    assert (made.version.id, made.version.text) == ("default@1", "Follow these rules:\n- Other.")


def test_nothing_to_write(config: Config, store: Store) -> None:
    with pytest.raises(UsageError, match="no accepted insights; accept some: `kaizen insights triage"):
        write_prompt(config, store)
    with pytest.raises(UsageError, match="no accepted insights of 'greet'; accept"):
        write_prompt(config, store, task="greet")
    accept(store, "a", "Ask about {{ weather }}.", task="default")
    with pytest.raises(UsageError, match="none of the 1 insights of 'default' can stand in a prompt"):
        write_prompt(config, store)


def test_a_number_that_was_used_before_is_not_used_for_another_text(config: Config, store: Store) -> None:
    store.save_prompts([PromptVersion(task="greet", version=2, sha256="x", text="y")])
    accept(store, "a", "Name a date.")
    with pytest.raises(StoreError, match="version 2 of prompt 'greet' was recorded"):
        write_prompt(config, store)
    assert not (config.root / "prompts/greet/2.md").exists()


def test_which_version_is_meant(config: Config) -> None:
    (config.root / "prompts/greet/2.md").write_text("Two.\n")
    assert prompt_version(config).id == "greet@2"
    assert prompt_version(config, "greet@1").version == 1
    for bad in ("greet", "@1", "greet@x", "greet@"):
        with pytest.raises(UsageError, match=r"expected the id of a prompt, TASK@N"):
            prompt_version(config, bad)
    with pytest.raises(PromptError, match="there is no version 9 of 'greet'"):
        prompt_version(config, "greet@9")
    (config.root / "prompts/thank").mkdir()
    (config.root / "prompts/thank/1.md").write_text("Thank.\n")
    with pytest.raises(UsageError, match=r"of several tasks \(greet, thank\); name one: --task"):
        prompt_version(config)
    assert prompt_version(config, task="thank").id == "thank@1"
    (config.root / "prompts/default").mkdir()
    (config.root / "prompts/default/1.md").write_text("Do.\n")
    assert prompt_version(config).id == "default@1"
