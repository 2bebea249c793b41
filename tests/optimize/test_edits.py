"""Small edits: the rest of the prompt stays as it is."""

from __future__ import annotations

import pytest

from pytest_kaizen.optimize.skillbook import HEADER, Edit, apply_edits, bare_lines, has_line

PROMPT = "Reply to {{ name }}.\n* Be brief.\n\nEnd well."


def test_rules_are_added_as_a_list_at_the_end() -> None:
    once = apply_edits(PROMPT, [Edit("add", "Be kind.")])
    assert once == f"{PROMPT}\n\n{HEADER}\n- Be kind."
    assert apply_edits(once, [Edit("add", "Say please.")]) == f"{once}\n- Say please."


def test_a_rule_is_added_once() -> None:
    assert apply_edits(PROMPT, [Edit("add", "Be brief.")]) == PROMPT


def test_a_line_is_changed_in_its_place_and_keeps_its_bullet() -> None:
    changed = apply_edits(PROMPT, [Edit("change", "Be long.", "Be brief.")])
    assert changed == PROMPT.replace("brief", "long")


def test_dropping_all_added_rules_gives_the_prompt_back() -> None:
    added = apply_edits(PROMPT, [Edit("add", "Be kind."), Edit("add", "Say please.")])
    dropped = apply_edits(added, [Edit("drop", target="Be kind.")])
    assert dropped == f"{PROMPT}\n\n{HEADER}\n- Say please."
    assert apply_edits(dropped, [Edit("drop", target="Say please.")]) == PROMPT


@pytest.mark.parametrize(
    "edit",
    [
        Edit("change", "x", "No such line."),
        Edit("drop", target="No such line."),
        Edit("drop", target=""),
        Edit("add", ""),
        Edit("drop", target="Reply to {{ name }}."),
        Edit("change", "Reply.", "Reply to {{ name }}."),
        Edit("add", "Greet {{ customer }}."),
    ],
    ids=["change of nothing", "drop of nothing", "drop empty", "add empty", "drop variable", "lose", "gain"],
)
def test_an_edit_that_fits_nothing_or_touches_variables_is_left_out(edit: Edit) -> None:
    assert apply_edits(PROMPT, [edit]) == PROMPT


def test_lines_are_compared_without_bullets_and_spaces() -> None:
    assert has_line(PROMPT, "  -  Be   brief.")
    assert not has_line(PROMPT, "Be")
    assert bare_lines("- a  b\n") == {"a b", ""}
