"""``kaizen prompts generate`` and ``pull``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_kaizen.models import Insight, InsightStatus
from pytest_kaizen.store import Store

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def accepted(project: Path) -> Path:
    """Two accepted insights, one with an escape, and one that names a variable; they clash."""
    (project / "prompts/greet").mkdir(parents=True)
    (project / "prompts/greet/1.md").write_text("You greet people.\n")
    rules = {"aa": "Be \x1b[2Jbrief.", "bb": "Be long.", "cc": "Say {{ it }}."}
    with Store.open(project / ".kaizen/kaizen.db") as store:
        store.save_insights(
            Insight(id=name, task="greet", rule=rule, status=InsightStatus.ACCEPTED, contradicts=against)
            for (name, rule), against in zip(rules.items(), [(), ("aa",), ("aa",)], strict=True)
        )
    return project


def test_generate(cli: Cli, accepted: Path) -> None:
    status, out, err = cli("prompts", "generate", "--insights", "bb", "--json", "--label", "l")
    assert (status, json.loads(out)) == (
        0,
        {
            "promptId": "greet@2",
            "version": 2,
            "label": "l",
            "content": {"text": "You greet people.\n\nFollow these rules:\n- Be long."},
        },
    )
    assert err == "greet@2: written with 1 more rule; it is active\n"
    assert cli("prompts", "activate", "greet", "1")[0] == 0
    status, _, err = cli("prompts", "generate")
    assert (status, err.splitlines()) == (
        0,
        [
            "left out, because it names a variable: Say {{ it }}.",
            r"warning: these contradict each other: Be long. / Be \x1b[2Jbrief.",
            "greet@3: written with 2 more rules; to use it: kaizen prompts activate greet 3",
        ],
    )
    assert cli("prompts", "activate", "greet", "3")[0] == 0
    status, out, err = cli("prompts", "generate", "-o", "p.txt")
    assert (status, out) == (0, "")
    assert err.endswith("greet@3 has all these insights already; nothing was written\n")
    # What goes to a file is exact; a terminal gets no escapes.
    assert "Be \x1b[2Jbrief." in (accepted / "p.txt").read_text()
    assert sorted(path.name for path in (accepted / "prompts/greet").iterdir()) == ["1.md", "2.md", "3.md"]


@pytest.mark.usefixtures("accepted")
def test_pull(cli: Cli, project: Path) -> None:
    assert cli("prompts", "pull") == (0, "You greet people.\n", "")
    assert cli("prompts", "pull", "--id", "greet@1", "-o", "p.txt")[:2] == (0, "")
    assert (project / "p.txt").read_text() == "You greet people.\n"
    assert json.loads(cli("prompts", "pull", "--task", "greet", "--pretty")[1]) == {
        "id": "greet@1",
        "version": 1,
        "label": None,
        "content": {"text": "You greet people."},
    }


@pytest.mark.usefixtures("accepted")
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("generate", "--insights", "zz"), "no insight is meant by 'zz'"),
        (("generate", "--task", "other"), "no accepted insights of 'other'"),
        (("pull", "--id", "greet"), "expected the id of a prompt, TASK@N (found 'greet')"),
        (("pull", "--task", "other"), "no prompt of 'other' here"),
        (("pull", "-o", "absent/p.txt"), "absent/p.txt: cannot be written: "),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], why: str, cli: Cli) -> None:
    status, out, err = cli("prompts", *arguments)
    assert (status, out) == (2, "")
    assert why in err
