from __future__ import annotations

from pathlib import Path

import pytest

from pytest_kaizen.capture.cassettes import cassette_path

MODULE = Path("tests/test_tickets.py")


@pytest.mark.parametrize(
    ("test", "name"),
    [
        ("test_summary", "test_summary.json"),
        ("TestTickets::test_summary", "TestTickets.test_summary.json"),
        ("test_summary[lamp-2.5]", "test_summary-lamp-2.5.json"),
        ("test_summary[a/b]", "test_summary-a_b-e6ddebac.json"),
        ("test_summary[Lamp]", "test_summary-Lamp-08f4d2bb.json"),
        ("test_summary[Größe]", "test_summary-Gr_e-f579da9e.json"),
    ],
)
def test_names(test: str, name: str) -> None:
    assert cassette_path(MODULE, test) == Path("tests/cassettes/test_tickets") / name


def test_no_two_tests_share_a_file() -> None:
    parameters = [
        "a/b",
        "a_b",
        "a:b",
        "A_b",
        "..",
        "../..",
        "",
        " ",
        "a b",
        "x" * 300,
        "x" * 301,
        "con",
        "a\\b",
    ]
    paths = [cassette_path(MODULE, f"test_it[{parameter}]") for parameter in parameters]
    assert len({str(path).lower() for path in paths}) == len(parameters)
    for path in paths:
        assert path.parent == Path("tests/cassettes/test_tickets")
        assert len(path.name) <= 105
